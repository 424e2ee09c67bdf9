//! Files that are cut and mixed up at random: no reader panics, and what is refused is told.

use super::plugins::schemas;
use super::{folders, load};
use hop3_agent::schema::Schemas;
use hop3_agent::spec::render;

static SCHEMAS: std::sync::OnceLock<Schemas> = std::sync::OnceLock::new();

proptest::proptest! {
    #[test]
    fn no_damage_to_a_spec_makes_its_reader_panic(case in 0_usize..1000, cuts in proptest::collection::vec((0_usize..5000, 0_usize..12, ".{0,4}"), 1..4)) {
        let cases = folders("spec");
        let case = &cases[case % cases.len()];
        let mut text = std::fs::read_to_string(case.join("hop3.toml")).unwrap_or_default();
        for (at, length, with) in cuts {
            let start = text.floor_char_boundary(at % (text.len() + 1));
            let end = text.ceil_char_boundary((start + length).min(text.len()));
            text.replace_range(start..end, &with);
        }
        let schemas = SCHEMAS.get_or_init(schemas);
        let loaded = load(schemas, "apps/demo", Some(text.as_bytes()), Some(text.as_bytes()));
        let errors = loaded.diagnostics.iter().any(hop3_agent::spec::Diagnostic::is_error);
        proptest::prop_assert_eq!(loaded.spec.is_none(), errors);
        render(&loaded.diagnostics, &loaded.sources, true);
    }
}
