//! What the web app answers with.

/// The number as the dependency writes it, and the version that the lock names.
pub fn dependency() -> String {
    let lock = include_str!("../../Cargo.lock");
    let (_, rest) = lock.split_once("name = \"itoa\"\nversion = \"").expect("it is locked");
    let version = rest.split('"').next().expect("it has a version");
    format!("{} {version}", itoa::Buffer::new().format(6 * 7))
}
