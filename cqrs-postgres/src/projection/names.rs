use cqrs_core::store::StoreError;
use uuid::Uuid;

/// A name as SQL takes it literally.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL takes it literally, whatever the session's settings.
pub(crate) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// What is left of the 63 bytes of a name for `_g` and the number of a generation.
const LONGEST: usize = 63 - "_g1234567".len();

/// The schema in which readers find the rows of a projection: the letters, digits and `_` of its name, behind `schema`.
/// What is too long is cut off, and ends with eight characters that depend on all of it.
pub(crate) fn namespace(schema: &str, projection: &str) -> String {
    let plain = |character: char| if character.is_alphanumeric() { character } else { '_' };
    let name: String = projection.chars().map(plain).collect();
    let mut name = format!("{schema}_{}", name.to_lowercase());
    if name.len() > LONGEST {
        let all = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{schema} {projection}").as_bytes());
        let end = format!("_{:08x}", all.as_fields().0);
        name.truncate(name.floor_char_boundary(LONGEST - end.len()));
        name.push_str(&end);
    }
    name
}

/// The schema of rows that readers do not see.
pub(crate) fn aside(namespace: &str, generation: i64) -> String {
    format!("{namespace}_g{generation}")
}

/// That a schema can be named like that.
pub(crate) fn check(namespace: &str) -> Result<(), StoreError> {
    if !namespace.contains('\0') && !namespace.starts_with("pg_") {
        return Ok(());
    }
    let fault = format!(
        "rows cannot lie in a schema named {namespace:?}: names that begin with `pg_`, and NUL characters, are refused"
    );
    Err(StoreError::Failed(fault.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_schemas() {
        assert_eq!(namespace("views", "Open-Accounts 2"), "views_open_accounts_2");
        assert_eq!(aside("views_balances", 2), "views_balances_g2");
        assert!(check(&namespace("views", "balances")).is_ok());
        let long = ["x", "y"].map(|last| namespace("views", &("ä".repeat(40) + last)));
        assert!(long.iter().all(|name| aside(name, 1_234_567).len() <= 63));
        assert_ne!(long[0], long[1]);
        assert!(check("pg_views").is_err());
        assert_eq!(literal("it's a \\"), "E'it''s a \\\\'");
    }
}
