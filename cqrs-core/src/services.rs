use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Instances of user types, by type: what command handlers with injected services are found in.
#[derive(Clone, Default)]
pub struct Services {
    instances: HashMap<TypeId, Service>,
}

#[derive(Clone)]
struct Service {
    name: &'static str,
    instance: Arc<dyn Any + Send + Sync>,
}

impl Services {
    /// Puts `instance` in; one of the same type that was there before is replaced.
    pub fn insert<T: Send + Sync + 'static>(&mut self, instance: T) {
        self.insert_shared(TypeId::of::<T>(), type_name::<T>(), Arc::new(instance));
    }

    pub(crate) fn insert_shared(
        &mut self,
        type_id: TypeId,
        name: &'static str,
        instance: Arc<dyn Any + Send + Sync>,
    ) {
        self.instances.insert(type_id, Service { name, instance });
    }

    /// The instance of type `T`.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.instances.get(&TypeId::of::<T>())?.instance.downcast_ref()
    }

    pub(crate) fn contains(&self, type_id: TypeId) -> bool {
        self.instances.contains_key(&type_id)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.instances.values().map(|service| service.name)).finish()
    }
}
