use uuid::Uuid;

/// A name that nobody else has, in any process, and that needs no quotes in SQL.
pub(crate) fn unique_name() -> String {
    format!("test_{}", Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::unique_name;

    #[test]
    fn names_are_short_enough_for_postgres() {
        assert!(unique_name().len() < 63);
    }
}
