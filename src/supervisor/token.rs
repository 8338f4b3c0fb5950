//! What an epoll event is about, as the number it was registered with.

use super::link::LinkId;
use super::park::ClientId;

/// Whom an event concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A client that waits.
    Client(ClientId),
    /// The listener with this index.
    Listener(u32),
    /// A worker's channel.
    Link(LinkId),
    /// The control socket's listener.
    Control,
    /// A connection to the control socket.
    Caller(u32),
    /// The signals.
    Signals,
}

/// The bits that tell kinds apart; a client's id leaves them free.
const KIND: u32 = ClientId::BITS;

impl Token {
    /// As a number.
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

    /// From a number that `number` made.
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
