use crate::weights::init::Initializer;
use crate::{HeadOrigin, NnError, Result, StateDict, WeightFaults};
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The fate of each tensor when a model was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors taken from the checkpoint.
    pub loaded: Vec<String>,
    /// Parameters of the head that the checkpoint lacks, which got initial values.
    pub initialized: Vec<String>,
    /// Tensors of the checkpoint that are not part of the model.
    pub unexpected: Vec<String>,
    /// A prefix of the checkpoint's names that was removed, if it is none of Hugging Face's models.
    pub prefix: Option<String>,
    /// The family of the encoder, if `config.json` does not name it.
    pub model_type: Option<String>,
    /// The fields of `config.json` that rtune does not know, and so ignores.
    pub unknown_fields: Vec<String>,
    /// The origin of the head's parameters.
    pub head: HeadOrigin,
}

/// Moves the tensors of a checkpoint into a model.
///
/// Its builders are candle's [`VarBuilder`], so every layer can be built from a checkpoint, and
/// every layer of this crate from candle's other sources, too. Missing tensors and wrong shapes are
/// collected; [`WeightLoader::finish`] reports all of them at once.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use rtune_nn::{self as nn, StateDict, WeightLoader};
/// use std::collections::BTreeMap;
///
/// # fn main() -> nn::Result<()> {
/// let weight = Tensor::ones((2, 3), DType::F32, &Device::Cpu)?;
/// let tensors = StateDict::from(BTreeMap::from([("fc.weight".to_owned(), weight)]));
/// let loader = WeightLoader::new(tensors, 1, &Device::Cpu);
/// let fc = nn::linear_no_bias(3, 2, loader.pretrained().pp("fc"))?;
/// let head = nn::linear(2, 1, loader.initialized().pp("head"))?;
/// let report = loader.finish("model".as_ref())?;
/// assert_eq!(report.loaded, ["fc.weight"]);
/// assert_eq!(report.initialized, ["head.weight", "head.bias"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WeightLoader {
    state: Arc<Mutex<State>>,
    device: Device,
}

#[derive(Debug)]
struct State {
    stored: StateDict,
    taken: BTreeMap<String, Tensor>,
    initializer: Initializer,
    report: LoadReport,
    faults: WeightFaults,
    /// The first tensor that could not be read.
    failure: Option<NnError>,
}

/// A source of a [`VarBuilder`], with the treatment of tensors that the checkpoint lacks.
struct Backend {
    state: Arc<Mutex<State>>,
    absent: Absent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    Missing,
    Initialized,
    /// Every tensor counts as absent, and gets an initial value.
    All,
}

impl WeightLoader {
    /// A loader of these tensors to a device. The seed decides initial values.
    pub fn new(tensors: StateDict, seed: u64, device: &Device) -> Self {
        let state = State {
            stored: tensors,
            taken: BTreeMap::new(),
            initializer: Initializer::new(seed),
            report: LoadReport::default(),
            faults: WeightFaults::default(),
            failure: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            device: device.clone(),
        }
    }

    /// A builder of modules whose parameters the checkpoint must have.
    pub fn pretrained(&self) -> VarBuilder<'static> {
        self.builder(Absent::Missing)
    }

    /// A builder of modules whose parameters get initial values if the checkpoint lacks them.
    pub fn initialized(&self) -> VarBuilder<'static> {
        self.builder(Absent::Initialized)
    }

    /// A builder of modules whose parameters get initial values even if the checkpoint has them.
    pub fn fresh(&self) -> VarBuilder<'static> {
        self.builder(Absent::All)
    }

    fn builder(&self, absent: Absent) -> VarBuilder<'static> {
        let backend = Backend {
            state: Arc::clone(&self.state),
            absent,
        };
        VarBuilder::from_backend(Box::new(backend), DType::F32, self.device.clone())
    }

    /// Ends the loading. `folder` is the place that errors name.
    ///
    /// # Errors
    /// If a tensor is missing or has elements of another type, or a shape differs from the one that
    /// the model's config asks for.
    pub fn finish(self, folder: &Path) -> Result<LoadReport> {
        let mut state = self.state.lock().map_err(|_| poisoned())?;
        if let Some(failure) = state.failure.take() {
            return Err(failure);
        }
        let mut faults = std::mem::take(&mut state.faults);
        let unused = state.stored.names().map(str::to_owned).collect();
        if faults != WeightFaults::default() {
            faults.unused = unused;
            return Err(NnError::Weights {
                folder: folder.to_owned(),
                faults: Box::new(faults),
            });
        }
        let mut report = std::mem::take(&mut state.report);
        report.unexpected = unused;
        report.prefix = state.stored.prefix().map(str::to_owned);
        Ok(report)
    }
}

impl State {
    fn get(
        &mut self,
        name: &str,
        shape: &Shape,
        init: Init,
        absent: Absent,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        // A parameter that two modules share is one tensor.
        if let Some(tensor) = self.taken.get(name) {
            return Ok(tensor.clone());
        }
        let expected = shape.dims();
        let stored = match absent {
            Absent::All => None,
            _ => self.stored.dims(name).map(<[usize]>::to_vec),
        };
        let tensor = match (stored, absent) {
            // A tensor is read only if its shape is right: a file may state an absurd one.
            (Some(stored), _) if stored != expected => {
                self.faults
                    .mismatched
                    .push((name.to_owned(), expected.to_vec(), stored));
                self.stored.discard(name);
                placeholder(device)?
            }
            (Some(_), _) => match self.stored.take(name) {
                Ok(stored) => {
                    self.report.loaded.push(name.to_owned());
                    stored.to_device(device)?
                }
                Err(failure) => {
                    self.failure.get_or_insert(failure);
                    placeholder(device)?
                }
            },
            (None, Absent::Missing | Absent::Initialized)
                if let Some(kind) = self.stored.other_type(name) =>
            {
                self.faults
                    .unreadable
                    .push((name.to_owned(), kind.to_owned()));
                placeholder(device)?
            }
            (None, Absent::Initialized | Absent::All) => {
                self.report.initialized.push(name.to_owned());
                Tensor::from_vec(self.initializer.draw(init, shape), shape, device)?
            }
            (None, Absent::Missing) => {
                self.faults.missing.push(name.to_owned());
                placeholder(device)?
            }
        };
        self.taken.insert(name.to_owned(), tensor.clone());
        Ok(tensor)
    }
}

/// An empty tensor in place of one that [`WeightLoader::finish`] will report. It does not have the
/// shape that the config asks for, which may be absurdly large.
fn placeholder(device: &Device) -> candle_core::Result<Tensor> {
    Tensor::zeros(0, DType::F32, device)
}

fn poisoned() -> candle_core::Error {
    candle_core::Error::Msg("the weights are locked by a thread that panicked".to_owned())
}

impl SimpleBackend for Backend {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut state = self.state.lock().map_err(|_| poisoned())?;
        state
            .get(name, &shape, init, self.absent, device)?
            .to_dtype(dtype)
    }

    /// Returns a tensor of any shape, which must be in the checkpoint.
    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let mut state = self.state.lock().map_err(|_| poisoned())?;
        let shape = state.stored.dims(name).map(Shape::from);
        let shape = shape.or_else(|| state.taken.get(name).map(|taken| taken.shape().clone()));
        let shape = shape.unwrap_or_else(|| Shape::from(0));
        state
            .get(name, &shape, Init::Const(0.0), Absent::Missing, device)?
            .to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        let state = self.state.lock();
        state.is_ok_and(|state| state.stored.dims(name).is_some() || state.taken.contains_key(name))
    }
}
