//! The names of clients and channels, and whom an epoll event concerns, as the number it was registered with.

/// The name of a client for as long as the supervisor has it; not used again for a long time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClientId(u64);

/// The name of a channel for as long as the supervisor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LinkId(pub u32);

impl ClientId {
    /// The bits of an id; 28 of them are the serial number.
    const BITS: u32 = 60;
    pub(super) const SERIAL: u32 = (1 << (ClientId::BITS - 32)) - 1;

    pub(super) fn new(serial: u32, index: u32) -> ClientId {
        ClientId((u64::from(serial & ClientId::SERIAL) << 32) | u64::from(index))
    }

    /// The id as it goes to workers and into epoll.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    pub(super) fn from_number(number: u64) -> ClientId {
        ClientId(number & ((1 << ClientId::BITS) - 1))
    }

    pub(super) fn index(self) -> usize {
        (self.0 & u64::from(u32::MAX)) as usize
    }

    pub(super) fn serial(self) -> u32 {
        ((self.0 >> 32) as u32) & ClientId::SERIAL
    }
}

/// Whom an event concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Client(ClientId),
    Listener(u32),
    Link(LinkId),
    /// The control socket's listener.
    Control,
    /// A connection to the control socket.
    Caller(u32),
    Signals,
}

/// The bits above this one tell kinds apart; a client's id leaves them free.
const KIND: u32 = ClientId::BITS;

impl Token {
    pub(super) fn number(self) -> u64 {
        let (kind, rest) = match self {
            Token::Client(id) => (0, id.number()),
            Token::Listener(index) => (1, u64::from(index)),
            Token::Link(LinkId(id)) => (2, u64::from(id)),
            Token::Control => (3, 0),
            Token::Caller(id) => (4, u64::from(id)),
            Token::Signals => (5, 0),
        };
        (kind << KIND) | rest
    }

    pub(super) fn from_number(number: u64) -> Token {
        let low = (number & u64::from(u32::MAX)) as u32;
        match number >> KIND {
            0 => Token::Client(ClientId::from_number(number)),
            1 => Token::Listener(low),
            2 => Token::Link(LinkId(low)),
            3 => Token::Control,
            4 => Token::Caller(low),
            _ => Token::Signals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_the_way_through_epoll() {
        let tokens = [
            Token::Client(ClientId::from_number(0)),
            Token::Client(ClientId::from_number((1 << KIND) - 1)),
            Token::Listener(3),
            Token::Link(LinkId(u32::MAX)),
            Token::Control,
            Token::Caller(7),
            Token::Signals,
        ];
        for token in tokens {
            assert_eq!(Token::from_number(token.number()), token);
        }
    }
}
