//! Answers every request with what it was made from.

use std::io::{Read, Write};
use std::net::TcpListener;

/// The version that the lock names.
fn locked() -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let (_, rest) = lock.split_once("name = \"itoa\"\nversion = \"").expect("it is locked");
    rest.split('"').next().expect("it has a version")
}

fn answer() -> std::io::Result<String> {
    let commit = std::fs::read_to_string("COMMIT")?;
    let mut number = itoa::Buffer::new();
    let number = number.format(6 * 7);
    Ok(["one", commit.trim(), number, locked(), env!("RUST_OF_BUILD")].join(" "))
}

fn main() -> std::io::Result<()> {
    let variable = |name| std::env::var(name).expect("the agent gives an address");
    let listener = TcpListener::bind(format!("{}:{}", variable("BIND_ADDRESS"), variable("PORT")))?;
    let body = answer()?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let _ = stream.read(&mut [0; 8192])?;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes())?;
    }
    Ok(())
}
