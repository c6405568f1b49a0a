use std::borrow::Cow;
use std::fmt;

/// What is wrong with a command's fields, all of it at once.
///
/// ```
/// use cqrs_core::command::ValidationErrors;
///
/// fn validate(amount: u64, owner: &str) -> Result<(), ValidationErrors> {
///     ValidationErrors::new()
///         .check(amount > 0, "amount", "must be positive")
///         .check(!owner.is_empty(), "owner", "must not be empty")
///         .into_result()
/// }
///
/// let errors = validate(0, "").unwrap_err();
/// assert_eq!(errors.to_string(), "amount must be positive; owner must not be empty");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationErrors {
    fields: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// The field.
    pub field: Cow<'static, str>,
    /// What is wrong with it, to stand behind the field's name.
    pub message: Cow<'static, str>,
}

impl ValidationErrors {
    /// Nothing wrong so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One thing wrong.
    #[must_use]
    pub fn of(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut errors = Self::new();
        errors.add(field, message);
        errors
    }

    /// Notes that something is wrong with `field`.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) {
        self.fields.push(FieldError { field: field.into(), message: message.into() });
    }

    /// Notes that something is wrong with `field`, unless `right`.
    #[must_use]
    pub fn check(
        mut self,
        right: bool,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        if !right {
            self.add(field, message);
        }
        self
    }

    /// `Ok` when nothing was noted.
    ///
    /// # Errors
    /// Gives what was noted.
    pub fn into_result(self) -> Result<(), Self> {
        if self.fields.is_empty() { Ok(()) } else { Err(self) }
    }

    /// What was noted, in order.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, FieldError { field, message }) in self.fields.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{field} {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ValidationErrors {}
