use crate::handler::is_key;

/// To which instances an event leads, and what it does there.
///
/// | | there is an instance | there is none |
/// |---|---|---|
/// | [`Interest::start`] | passes it by | begins |
/// | [`Interest::start_strict`] | fails | begins |
/// | [`Interest::go_on`] | handled | passes by |
/// | [`Interest::go_on_strict`] | handled | fails |
/// | [`Interest::start_or_go_on`] | handled | begins |
/// | [`Interest::stop`] | handled, and ends it | passes by |
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Interest {
    pub(crate) role: Role,
    /// Each once.
    pub(crate) instances: Vec<String>,
}

/// What an event does to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It starts one, and passes by one that there is.
    Start,
    /// It starts one, and fails when there is one.
    StartStrict,
    /// It is for one that there is, and passes by otherwise.
    Continue,
    /// It is for one that there is, and fails otherwise.
    ContinueStrict,
    /// It is for one that there is, or starts one.
    StartOrContinue,
    /// It ends one that there is, and passes by otherwise.
    Stop,
}

impl Interest {
    /// The event leads to no instance.
    pub const fn none() -> Self {
        Self { role: Role::Continue, instances: Vec::new() }
    }

    /// The event plays a role for the instances with these identities, each once however often it is named.
    pub fn of<I>(role: Role, instances: I) -> Self
    where
        I: IntoIterator<Item: ToString>,
    {
        let mut distinct: Vec<String> = Vec::new();
        for instance in instances {
            let instance = instance.to_string();
            if !distinct.contains(&instance) {
                distinct.push(instance);
            }
        }
        Self { role, instances: distinct }
    }

    /// The event starts instances.
    pub fn start(instances: impl IntoIterator<Item: ToString>) -> Self {
        Self::of(Role::Start, instances)
    }

    /// The event starts instances that must not be there.
    pub fn start_strict(instances: impl IntoIterator<Item: ToString>) -> Self {
        Self::of(Role::StartStrict, instances)
    }

    /// The event is for instances that are there (Commanded's `continue`).
    pub fn go_on(instances: impl IntoIterator<Item: ToString>) -> Self {
        Self::of(Role::Continue, instances)
    }

    /// The event is for instances that must be there.
    pub fn go_on_strict(instances: impl IntoIterator<Item: ToString>) -> Self {
        Self::of(Role::ContinueStrict, instances)
    }

    /// The event is for instances, which it starts if need be.
    pub fn start_or_go_on(instances: impl IntoIterator<Item: ToString>) -> Self {
        Self::of(Role::StartOrContinue, instances)
    }

    /// The event is the last one of instances.
    pub fn stop(instances: impl IntoIterator<Item: ToString>) -> Self {
        Self::of(Role::Stop, instances)
    }
}

/// The first of some identities that cannot be written down.
pub(crate) fn invalid_instance<'a>(mut instances: impl Iterator<Item = &'a str>) -> Option<String> {
    instances.find(|instance| !is_key(instance)).map(str::to_owned)
}
