//! The numbers that stand for kinds on the channel. A number is never given another meaning; a
//! message that changes its fields gets a new number or `VERSION` goes up.

pub(super) const HELLO: u8 = 1;

pub(super) const SETTINGS: u8 = 2;
pub(super) const ASSIGN: u8 = 3;
pub(super) const RETURNS_TAKEN: u8 = 4;
pub(super) const STOP: u8 = 5;
pub(super) const HAND_OVER_REFUSED: u8 = 6;

pub(super) const SETTINGS_APPLIED: u8 = 32;
pub(super) const SETTINGS_REFUSED: u8 = 33;
pub(super) const TAKEN: u8 = 34;
pub(super) const RETURN: u8 = 35;
pub(super) const CLOSED: u8 = 36;
pub(super) const DRAINING: u8 = 37;
pub(super) const PUBLISHED: u8 = 38;
pub(super) const REMOVED: u8 = 39;
pub(super) const HAND_OVER: u8 = 40;

pub(super) const PEER_UNIX: u8 = 0;
pub(super) const PEER_V4: u8 = 4;
pub(super) const PEER_V6: u8 = 6;
