//! Packs that no git would write: true objects beside lies about their number, kind, size and content.

use gix::objs::Kind;

const HASH: gix::hash::Kind = gix::hash::Kind::Sha1;

/// A pack under construction.
#[derive(Default, Clone)]
pub(crate) struct Pack {
    entries: Vec<Vec<u8>>,
    claimed: Option<u32>,
}

impl Pack {
    /// Adds an object; gives its name.
    pub(crate) fn object(&mut self, kind: Kind, data: &[u8]) -> String {
        let number = match kind {
            Kind::Commit => 1,
            Kind::Tree => 2,
            Kind::Blob => 3,
            Kind::Tag => 4,
        };
        self.entry(number, data.len() as u64, &stored(data));
        gix::objs::compute_hash(HASH, kind, data)
            .unwrap()
            .to_string()
    }

    /// Adds a directory of `(mode, name, object)`.
    pub(crate) fn tree(&mut self, entries: &[(&str, &str, &str)]) -> String {
        let mut data = Vec::new();
        for (mode, name, id) in entries {
            data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            data.extend_from_slice(gix::ObjectId::from_hex(id.as_bytes()).unwrap().as_slice());
        }
        self.object(Kind::Tree, &data)
    }

    /// Adds a commit of a directory.
    pub(crate) fn commit(&mut self, tree: &str) -> String {
        let person = "Ada <ada@example.org> 1700000000 +0000";
        self.object(
            Kind::Commit,
            format!("tree {tree}\nauthor {person}\ncommitter {person}\n\nfirst\n").as_bytes(),
        )
    }

    /// Adds an entry of any kind with any claim about its size.
    pub(crate) fn entry(&mut self, kind: u8, claimed: u64, zlib: &[u8]) {
        let mut entry = Vec::new();
        let mut left = claimed >> 4;
        let low = u8::try_from(claimed & 15).unwrap();
        entry.push((u8::from(left > 0) << 7) | (kind << 4) | low);
        push_varint(&mut entry, &mut left);
        entry.extend_from_slice(zlib);
        self.entries.push(entry);
    }

    /// Adds an object that is described by its difference to another.
    pub(crate) fn delta(&mut self, base: &str, instructions: &[u8]) {
        let mut data = gix::ObjectId::from_hex(base.as_bytes())
            .unwrap()
            .as_slice()
            .to_vec();
        data.extend_from_slice(&stored(instructions));
        self.entry(7, instructions.len() as u64, &data);
    }

    /// Claims another number of objects.
    pub(crate) fn claiming(mut self, number: u32) -> Self {
        self.claimed = Some(number);
        self
    }

    /// The pack with its checksum.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let number = self
            .claimed
            .unwrap_or(u32::try_from(self.entries.len()).unwrap());
        let mut bytes = b"PACK\0\0\0\x02".to_vec();
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend(self.entries.iter().flatten());
        sealed(bytes)
    }
}

/// A pack's bytes with the checksum that they should have.
pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = gix::hash::hasher(HASH);
    hasher.update(&bytes);
    bytes.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    bytes
}

/// The instructions of a delta that writes a base of some size several times.
pub(crate) fn copies(base: u64, times: u64) -> Vec<u8> {
    let mut delta = Vec::new();
    for mut size in [base, base * times] {
        let low = u8::try_from(size & 127).unwrap();
        size >>= 7;
        delta.push((u8::from(size > 0) << 7) | low);
        push_varint(&mut delta, &mut size);
    }
    let largest = 0xff_ffff;
    for _ in 0..times {
        let mut offset = 0;
        while offset < base {
            let size = largest.min(base - offset);
            delta.push(0xff);
            delta.extend_from_slice(&u32::try_from(offset).unwrap().to_le_bytes());
            delta.extend_from_slice(&u32::try_from(size).unwrap().to_le_bytes()[..3]);
            offset += size;
        }
    }
    delta
}

fn push_varint(bytes: &mut Vec<u8>, left: &mut u64) {
    while *left > 0 {
        let low = u8::try_from(*left & 127).unwrap();
        *left >>= 7;
        bytes.push((u8::from(*left > 0) << 7) | low);
    }
}

/// A zlib stream that compresses nothing.
pub(crate) fn stored(data: &[u8]) -> Vec<u8> {
    let mut zlib = vec![0x78, 0x01];
    let mut parts = data.chunks(0xffff).peekable();
    if parts.peek().is_none() {
        zlib.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(part) = parts.next() {
        zlib.push(u8::from(parts.peek().is_none()));
        let length = u16::try_from(part.len()).unwrap();
        zlib.extend_from_slice(&length.to_le_bytes());
        zlib.extend_from_slice(&(!length).to_le_bytes());
        zlib.extend_from_slice(part);
    }
    zlib.extend_from_slice(&adler(data).to_be_bytes());
    zlib
}

fn adler(data: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in data {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    (high << 16) | low
}
