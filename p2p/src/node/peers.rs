//! Connected peers as the node sees them: a number for the engine, how far they say they are, and how often they lied.
//!
//! Bounds: [`MAX_ROWS`], more than the network lets connect; [`MAX_SUSPECTS`] peers with faults remembered.

use libp2p::PeerId;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tender_consensus::{
    engine::Peer,
    message::{Request, Response},
};
use tender_wire::Height;

/// Peers known at once. A message that outlives its connection leaves a row; the oldest such row goes first.
pub(crate) const MAX_ROWS: usize = 1024;
/// Lies after which a peer is dropped. The first may be a fault in transit or in our own timing.
pub(crate) const FAULTS: u32 = 3;
/// Peers whose faults are remembered.
pub(crate) const MAX_SUSPECTS: usize = 1024;

/// The table.
#[derive(Default)]
pub(super) struct Peers(Mutex<Rows>);

#[derive(Default)]
struct Rows {
    by_id: BTreeMap<PeerId, Row>,
    by_number: BTreeMap<u64, PeerId>,
    numbered: u64,
    faults: BTreeMap<PeerId, u32>,
    turn: usize,
}

struct Row {
    number: u64,
    height: Height,
    /// Questions it left unanswered since it last answered one.
    unanswered: u32,
    /// When last asked it did not stand by the height it had announced.
    doubted: bool,
}

impl Peers {
    /// The number of a connected peer.
    pub(super) fn number(&self, id: PeerId) -> Peer {
        let mut rows = self.lock();
        if let Some(row) = rows.by_id.get(&id) {
            return Peer(row.number);
        }
        if rows.by_number.len() >= MAX_ROWS
            && let Some((_, oldest)) = rows.by_number.pop_first()
        {
            rows.by_id.remove(&oldest);
        }
        rows.numbered = rows.numbered.saturating_add(1);
        let number = rows.numbered;
        rows.by_number.insert(number, id);
        rows.by_id.insert(
            id,
            Row {
                number,
                height: Height(0),
                unanswered: 0,
                doubted: false,
            },
        );
        Peer(number)
    }

    /// Forgets a peer that is gone.
    pub(super) fn gone(&self, id: &PeerId) {
        let mut rows = self.lock();
        if let Some(row) = rows.by_id.remove(id) {
            rows.by_number.remove(&row.number);
        }
    }

    /// A peer said how far it is. It may say less than before.
    pub(super) fn announced(&self, id: &PeerId, height: Height) {
        if let Some(row) = self.lock().by_id.get_mut(id) {
            row.height = height;
        }
    }

    /// A peer answered a question, or did not.
    pub(super) fn answered(&self, id: &PeerId, answered: bool) {
        if let Some(row) = self.lock().by_id.get_mut(id) {
            row.unanswered = match answered {
                true => 0,
                false => row.unanswered.saturating_add(1),
            };
        }
    }

    /// A peer's answer, held against the height it announced: it has the blocks up to there and names no lower tip than a moment ago.
    pub(super) fn showed(&self, id: &PeerId, request: &Request, response: &Response) {
        let mut rows = self.lock();
        let Some(row) = rows.by_id.get_mut(id) else {
            return;
        };
        row.doubted = match (request, response) {
            (Request::Blocks(from), Response::Blocks(blocks)) if *from <= row.height => {
                blocks.is_empty()
            }
            (Request::Votes(_), Response::Votes(bundle)) => bundle.tip.next() < row.height,
            _ => row.doubted,
        };
    }

    /// The greatest height that more than a third of the connected peers announced: one among three or more is not believed. Whoever does not answer,
    /// or did not stand by its announcement when asked, is not counted, unless all are such.
    pub(super) fn best(&self, connected: impl Iterator<Item = PeerId>) -> Height {
        let rows = self.lock();
        let (mut believed, mut others) = (Vec::new(), Vec::new());
        for id in connected {
            match rows.by_id.get(&id) {
                Some(row) if row.doubted || row.unanswered > 0 => others.push(row.height),
                row => believed.push(row.map_or(Height(0), |row| row.height)),
            }
        }
        let mut heights = if believed.is_empty() {
            others
        } else {
            believed
        };
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let third = heights.len().checked_div(3).unwrap_or_default();
        heights.get(third).copied().unwrap_or_default()
    }

    /// Whom to ask: the first of `prefer` that is connected, else one that says it is at `height` or beyond, else anyone;
    /// never one of `tried`. Turns go round among those that left the fewest questions unanswered, so that many who never answer do not
    /// keep a few who do from being asked.
    pub(super) fn choose(
        &self,
        prefer: &[Peer],
        height: Height,
        tried: &[PeerId],
    ) -> Option<PeerId> {
        let mut rows = self.lock();
        rows.turn = rows.turn.wrapping_add(1);
        let preferred = prefer.iter().filter_map(|peer| rows.by_number.get(&peer.0));
        if let Some(id) = preferred.copied().find(|id| !tried.contains(id)) {
            return Some(id);
        }
        let free = || rows.by_id.iter().filter(|(id, _)| !tried.contains(id));
        let ahead: Vec<_> = free().filter(|(_, row)| row.height >= height).collect();
        let choice = if ahead.is_empty() {
            free().collect()
        } else {
            ahead
        };
        let fewest = choice.iter().map(|(_, row)| row.unanswered).min();
        let choice: Vec<_> = choice
            .into_iter()
            .filter(|(_, row)| Some(row.unanswered) == fewest)
            .collect();
        let turn = rows.turn.checked_rem(choice.len())?;
        choice.get(turn).map(|(id, _)| **id)
    }

    /// Counts a lie; gives the peer to shut out if it was one too many.
    pub(super) fn fault(&self, peer: Peer) -> Option<PeerId> {
        let mut rows = self.lock();
        let id = *rows.by_number.get(&peer.0)?;
        if rows.faults.len() >= MAX_SUSPECTS && !rows.faults.contains_key(&id) {
            rows.faults.pop_first();
        }
        let faults = rows.faults.entry(id).or_default();
        *faults = faults.saturating_add(1);
        let faults = *faults;
        if let Some(row) = rows.by_id.get_mut(&id) {
            row.doubted = true;
        }
        if faults < FAULTS {
            return None;
        }
        rows.faults.remove(&id);
        Some(id)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tender_consensus::message::Bundle;

    #[test]
    fn the_preferred_then_those_ahead_then_anyone_never_twice() {
        let peers = Peers::default();
        let ids: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
        let numbers: Vec<_> = ids.iter().map(|id| peers.number(*id)).collect();
        assert_eq!(peers.number(ids[1]), numbers[1], "numbers stay");
        peers.announced(&ids[2], Height(9));
        assert_eq!(
            peers.choose(&[Peer(99), numbers[1]], Height(5), &[]),
            Some(ids[1])
        );
        for _ in 0..8 {
            assert_eq!(peers.choose(&[], Height(5), &[]), Some(ids[2]));
            let other = peers.choose(&[], Height(5), &[ids[2]]).unwrap();
            assert_ne!(other, ids[2]);
        }
        assert_eq!(peers.choose(&[], Height(5), &ids), None);
        peers.gone(&ids[2]);
        assert_eq!(peers.choose(&[numbers[2]], Height(0), &ids), None);
    }

    /// THREATS L: `/ready` does not hang on one stranger's word.
    #[test]
    fn a_height_is_believed_of_more_than_a_third() {
        let peers = Peers::default();
        let ids: Vec<_> = (0..6).map(|_| PeerId::random()).collect();
        let best = |connected: &[PeerId]| peers.best(connected.iter().copied());
        assert_eq!(best(&[]), Height(0));
        for id in &ids[..5] {
            peers.number(*id);
            peers.announced(id, Height(7));
        }
        peers.announced(&ids[0], Height(u64::MAX));
        assert_eq!(best(&ids[..1]), Height(u64::MAX), "the only one there is");
        assert_eq!(best(&ids[..3]), Height(7));
        assert_eq!(best(&ids), Height(7), "one has not said anything");
        peers.announced(&ids[1], Height(9));
        assert_eq!(best(&ids[..4]), Height(9));
        assert_eq!(best(&ids), Height(7), "two of six are a third");
    }

    /// B20, L: nine strangers beside two honest peers cannot keep `/ready` from telling the truth by announcing what is not, once each was asked.
    #[test]
    fn announcements_count_of_those_who_stand_by_them() {
        let peers = Peers::default();
        let ids: Vec<_> = (0..11).map(|_| PeerId::random()).collect();
        let numbers: Vec<_> = ids.iter().map(|id| peers.number(*id)).collect();
        let (honest, liars) = ids.split_at(2);
        let best = || peers.best(ids.iter().copied());
        let announce = || {
            honest.iter().for_each(|id| peers.announced(id, Height(7)));
            liars.iter().for_each(|id| peers.announced(id, Height(900)));
        };
        let tip = |tip| {
            let bundle = Bundle {
                tip: Height(tip),
                ..Bundle::default()
            };
            Response::Votes(bundle)
        };
        let (votes, blocks) = (Request::Votes(Height(8)), Request::Blocks(Height(8)));
        announce();
        assert_eq!(best(), Height(900), "nobody was asked yet");
        for (i, id) in liars.iter().enumerate() {
            match i % 4 {
                0 => peers.answered(id, false),
                1 => peers.showed(id, &votes, &tip(7)),
                2 => peers.showed(id, &blocks, &Response::Blocks(Vec::new())),
                _ => assert_eq!(peers.fault(numbers[2 + i]), None),
            }
        }
        announce(); // again and again
        assert_eq!(best(), Height(7));
        let alone = peers.best(liars.iter().copied());
        assert_eq!(alone, Height(900), "with nobody better about");
        for id in honest {
            peers.showed(id, &votes, &tip(6)); // it was asked before it had the block
            peers.showed(
                id,
                &Request::Blocks(Height(8)),
                &Response::Blocks(Vec::new()),
            );
        }
        assert_eq!(best(), Height(7), "nobody claimed that one");
        // Whoever stands by what it says is believed again.
        liars.iter().for_each(|id| {
            peers.answered(id, true);
            peers.showed(id, &votes, &tip(900));
        });
        assert_eq!(best(), Height(900));
    }

    /// THREATS B20: however many never answer, one that does is found.
    #[test]
    fn those_who_answer_are_asked_before_those_who_do_not() {
        let peers = Peers::default();
        let ids: Vec<_> = (0..100).map(|_| PeerId::random()).collect();
        for id in &ids {
            peers.number(*id);
            peers.announced(id, Height(9));
        }
        let honest = ids[42];
        let mut asked = 0;
        while peers.choose(&[], Height(5), &[]) != Some(honest) {
            asked += 1;
            assert!(asked < 200);
        }
        for id in ids.iter().filter(|id| **id != honest) {
            peers.answered(id, false);
        }
        for _ in 0..100 {
            assert_eq!(peers.choose(&[], Height(5), &[]), Some(honest));
        }
        assert_ne!(peers.choose(&[], Height(5), &[honest]), Some(honest));
        peers.answered(&honest, false);
        peers.answered(&honest, false);
        assert_ne!(peers.choose(&[], Height(5), &[]), Some(honest));
    }

    #[test]
    fn b13_a_third_lie_is_one_too_many() {
        let peers = Peers::default();
        let id = PeerId::random();
        let number = peers.number(id);
        assert_eq!(peers.fault(number), None);
        peers.gone(&id); // reconnecting does not clean the slate
        let number = peers.number(id);
        assert_eq!(peers.fault(number), None);
        assert_eq!(peers.fault(number), Some(id));
    }

    /// B17, B20: names that come and go, and lie, fill no more than the tables.
    #[test]
    fn so_many_peers_are_known_and_so_many_suspected_and_no_more() {
        let peers = Peers::default();
        let ids: Vec<_> = (0..=MAX_ROWS).map(|_| PeerId::random()).collect();
        let known = |number, id| peers.choose(&[number], Height(0), &[]) == Some(id);
        let first = peers.number(ids[0]);
        for id in &ids[1..MAX_ROWS] {
            peers.number(*id);
        }
        assert!(known(first, ids[0]));
        let last = peers.number(ids[MAX_ROWS]);
        assert!(!known(first, ids[0]) && known(last, ids[MAX_ROWS]));
        assert_eq!(peers.lock().by_number.len(), MAX_ROWS);
        assert_eq!(peers.lock().by_id.len(), MAX_ROWS);

        let mut suspects = 0;
        while suspects <= MAX_SUSPECTS {
            let id = PeerId::random();
            let number = peers.number(id);
            assert_eq!(peers.fault(number), None);
            suspects += 1;
            assert_eq!(peers.lock().faults.len(), suspects.min(MAX_SUSPECTS));
            peers.gone(&id);
        }
        assert_eq!(peers.fault(last), None);
        assert_eq!(peers.fault(last), None);
        assert_eq!(
            peers.fault(last),
            Some(ids[MAX_ROWS]),
            "counted all the same"
        );
    }
}
