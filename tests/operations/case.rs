//! One case: shapes, and an expression over any interpreter.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rtune_nn::{Param, Result, SequenceOps, Var};

/// The domain of random numbers without kinks of the tested functions: none at integers but 1.
pub(crate) const INNER: (f32, f32) = (0.55, 1.95);

/// The inputs and parameters of a random case.
pub(crate) struct Shapes {
    /// Dimensions of inputs; of token inputs `[width]`.
    pub(crate) inputs: Vec<Vec<usize>>,
    /// Dimensions of parameters.
    pub(crate) params: Vec<Vec<usize>>,
    /// Bounds of the random numbers.
    pub(crate) range: (f32, f32),
    /// True if inputs have one row for each token.
    pub(crate) tokens: bool,
}

impl Shapes {
    /// Tensors of any shape.
    pub(crate) fn values<const N: usize>(inputs: [&[usize]; N]) -> Self {
        Self {
            inputs: inputs.map(<[usize]>::to_vec).to_vec(),
            params: Vec::new(),
            range: (-2.0, 2.0),
            tokens: false,
        }
    }

    /// One row of each of these widths for each token.
    pub(crate) fn tokens<const N: usize>(widths: [usize; N]) -> Self {
        Self {
            inputs: widths.map(|width| vec![width]).to_vec(),
            tokens: true,
            ..Self::values([])
        }
    }

    pub(crate) fn params<const N: usize>(mut self, params: [&[usize]; N]) -> Self {
        self.params = params.map(<[usize]>::to_vec).to_vec();
        self
    }

    pub(crate) fn within(mut self, range: (f32, f32)) -> Self {
        self.range = range;
        self
    }
}

pub(crate) fn size(random: &mut ChaCha8Rng) -> usize {
    random.random_range(1..5)
}

/// One tensor of rank 3.
pub(crate) fn one(random: &mut ChaCha8Rng) -> Shapes {
    Shapes::values([&[size(random), size(random), size(random)]])
}

/// Two tensors that broadcast.
pub(crate) fn pair(random: &mut ChaCha8Rng) -> Shapes {
    let (a, b) = (size(random), size(random));
    let second = [vec![a, b], vec![b], vec![a, 1]][random.random_range(0..3)].clone();
    Shapes::values([&[a, b], &second])
}

/// A case of the suite; [`cases!`](crate::case::cases) makes one from a line.
pub(crate) trait Case {
    const NAME: &'static str;
    fn shapes(random: &mut ChaCha8Rng) -> Shapes;
    fn run<'a, O: SequenceOps>(
        ops: &'a O,
        x: &[Var<'a, O>],
        p: &[Param],
        s: &O::Sequences,
    ) -> Result<Var<'a, O>>;
}

/// Each line `name: shapes, |x, p, s| expression;` is a test: `shapes` is a function from the
/// random generator, `x` are inputs, `p` parameters, `s` the token layout. With `|ops, x, p, s|`,
/// the interpreter is at hand.
macro_rules! cases {
    (@one $name:ident, $shapes:expr, $ops:ident, $x:ident, $p:ident, $s:ident, $body:expr) => {
        #[test]
        fn $name() {
            struct This;
            impl crate::case::Case for This {
                const NAME: &'static str = stringify!($name);
                fn shapes(random: &mut rand_chacha::ChaCha8Rng) -> crate::case::Shapes {
                    ($shapes)(random)
                }
                fn run<'a, O: rtune_nn::SequenceOps>(
                    $ops: &'a O,
                    $x: &[rtune_nn::Var<'a, O>],
                    $p: &[rtune_nn::Param],
                    $s: &O::Sequences,
                ) -> rtune_nn::Result<rtune_nn::Var<'a, O>> {
                    let _ = ($ops, $x, $p, $s);
                    $body
                }
            }
            crate::check::check::<This>();
        }
    };
    ($($name:ident: $shapes:expr, |$($arg:ident),+| $body:expr;)+) => {
        $(crate::case::cases!(@args $name, $shapes, ($($arg),+), $body);)+
    };
    (@args $name:ident, $shapes:expr, ($x:ident, $p:ident, $s:ident), $body:expr) => {
        crate::case::cases!(@one $name, $shapes, ops, $x, $p, $s, $body);
    };
    (@args $name:ident, $shapes:expr, ($o:ident, $x:ident, $p:ident, $s:ident), $body:expr) => {
        crate::case::cases!(@one $name, $shapes, $o, $x, $p, $s, $body);
    };
}
pub(crate) use cases;
