use syn::{Attribute, ReturnType, Type};

use crate::projection::KIND;
use crate::shared::decision::parameters;
use crate::shared::errors::Errors;
use crate::shared::given::{Given, Parameter};
use crate::shared::handling::check_self;
use crate::shared::impl_block::Method;
use crate::shared::names::cfgs;

/// The method `rows`.
pub(crate) struct Rows {
    pub(crate) cfgs: Vec<Attribute>,
    /// Where the rows lie.
    pub(crate) ty: Type,
}

impl Rows {
    /// Reads the method; `None` when it does not tell where the rows lie.
    pub(crate) fn read(method: &Method, errors: &mut Errors) -> Option<Self> {
        const WANTED: &str = "expected `fn rows(&self) -> &Rows`, with the type of what holds the rows, such as `&MemoryRows<String, u64>` or `&PostgresRows`";
        let mut mistakes = Errors::default();
        check_self(method, &KIND, &mut mistakes);
        let signature = &method.signature;
        if let Some(token) = &signature.asyncness {
            mistakes.at(token, WANTED);
        }
        if parameters(method).next().is_some() {
            mistakes.at(&signature.inputs, WANTED);
        }
        let ty = match &signature.output {
            ReturnType::Type(_, ty) => match &**ty {
                Type::Reference(reference) if reference.mutability.is_none() => {
                    Some((*reference.elem).clone())
                }
                other => {
                    mistakes.at(other, WANTED);
                    None
                }
            },
            ReturnType::Default => {
                mistakes.at(&signature.ident, WANTED);
                None
            }
        };
        let callable = mistakes.is_empty();
        errors.merge(mistakes);
        Some(Self { cfgs: cfgs(&method.attrs), ty: ty.filter(|_| callable)? })
    }
}

/// What the method looks like that batches come to.
pub(crate) const ON_BATCH: &str =
    "async fn on_batch(&self, events: &[Projected<Events>], rows: &mut ..) -> Result<(), Error>";

pub(crate) fn create(method: &Method, errors: &mut Errors) -> Given {
    const WANTED: &str = "async fn create(&self, rows: &mut ..) -> Result<(), Error>";
    Given::read(method, &KIND, &[Parameter::Mutable], WANTED, errors)
}

pub(crate) fn on_batch(method: &Method, errors: &mut Errors) -> Given {
    Given::read(method, &KIND, &[Parameter::Events, Parameter::Mutable], ON_BATCH, errors)
}
