//! Development only: where fixtures and fetched artifacts are, tiny encoders, comparisons.

mod paths;

pub use paths::{
    cache_folder, fetched_model, fetched_reviews, fixtures, quickstart_folder, runtime_library,
};
