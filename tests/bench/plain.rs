//! The limit: the same rows, written and read by plain prepared statements on one connection, with nothing around them.

use std::time::SystemTime;

use postgres::types::ToSql;
use postgres::{Client, NoTls, Statement};

/// Content of more than this is in pieces.
pub const SMALL: usize = 64 << 10;
/// Bytes in a piece.
const PIECE: usize = 256 << 10;

/// A connection with its statements.
pub struct Plain {
    client: Client,
    read: Statement,
    read_piece: Statement,
    write: Statement,
    write_content: Statement,
    write_piece: Statement,
}

impl Plain {
    /// Connects and prepares.
    pub fn connect(connection: &str) -> Plain {
        let mut client = Client::connect(connection, NoTls).unwrap();
        let mut prepare = |sql: &str| client.prepare(sql).unwrap();
        Plain {
            read: prepare(
                "SELECT id, method, uri, variant, vary, status, reason, fields, trailers, request_time, response_time, \
                 length, size, checksum, content, content_id FROM cacheproxy.response WHERE key_hash = $1",
            ),
            read_piece: prepare(
                "SELECT bytes FROM cacheproxy.piece WHERE content_id = $1 AND number = $2",
            ),
            write: prepare(
                "INSERT INTO cacheproxy.response (id, key_hash, variant_hash, method, uri, variant, vary, status, reason, \
                 fields, trailers, etag, request_time, response_time, length, size, checksum, content, content_id) \
                 VALUES (nextval('cacheproxy.change'), $1, $2, 'GET', $3, '', '{}', 200, 'OK', $4, '{}', '\"1\"', $5, $5, \
                 $6, $6, $7, $8, $9)",
            ),
            write_content: prepare(
                "INSERT INTO cacheproxy.content (length, kept_until) VALUES ($1, now()) RETURNING id",
            ),
            write_piece: prepare("INSERT INTO cacheproxy.piece VALUES ($1, $2, $3)"),
            client,
        }
    }

    /// Writes a response: one statement where it is one row.
    pub fn fill(&mut self, hash: &[u8], uri: &str, fields: &[&str], content: &[u8]) {
        let (now, len) = (SystemTime::now(), content.len() as i64);
        let (variant, checksum) = (&[0_u8; 16][..], &[7_u8; 16][..]);
        let small = (content.len() <= SMALL).then_some(content);
        let mut id: Option<i64> = None;
        if small.is_some() {
            let row: [&(dyn ToSql + Sync); 9] = [
                &hash, &variant, &uri, &fields, &now, &len, &checksum, &small, &id,
            ];
            self.client.execute(&self.write, &row).unwrap();
            return;
        }
        let mut transaction = self.client.transaction().unwrap();
        let row = transaction.query_one(&self.write_content, &[&len]).unwrap();
        id = Some(row.get(0));
        for (number, piece) in content.chunks(PIECE).enumerate() {
            let number = number as i32;
            transaction
                .execute(&self.write_piece, &[&id, &number, &piece])
                .unwrap();
        }
        let row: [&(dyn ToSql + Sync); 9] = [
            &hash, &variant, &uri, &fields, &now, &len, &checksum, &small, &id,
        ];
        transaction.execute(&self.write, &row).unwrap();
        transaction.commit().unwrap();
    }

    /// Reads a response; the length of its content.
    pub fn hit(&mut self, hash: &[u8]) -> usize {
        let row = self.client.query_one(&self.read, &[&hash]).unwrap();
        let uri: &str = row.get("uri");
        let fields: Vec<&str> = row.get("fields");
        assert!(!uri.is_empty() && !fields.is_empty());
        let length: i64 = row.get("length");
        let Some(id) = row.get::<_, Option<i64>>("content_id") else {
            return row.get::<_, &[u8]>("content").len();
        };
        let pieces = (length as usize).div_ceil(PIECE) as i32;
        let piece = |number| {
            let row = self
                .client
                .query_one(&self.read_piece, &[&id, &number])
                .unwrap();
            row.get::<_, &[u8]>(0).len()
        };
        (0..pieces).map(piece).sum()
    }
}
