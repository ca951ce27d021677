//! Maximum flow by augmenting paths, for the minimum cut between what can only be kept and what is needed.

use std::collections::VecDeque;

/// A flow network with unit-free capacities.
pub struct Flow {
    to: Vec<usize>,
    room: Vec<u32>,
    out: Vec<Vec<usize>>,
}

impl Flow {
    pub fn new(nodes: usize) -> Flow {
        Flow {
            to: Vec::new(),
            room: Vec::new(),
            out: vec![Vec::new(); nodes],
        }
    }

    pub fn edge(&mut self, a: usize, b: usize, room: u32) {
        for (from, to, room) in [(a, b, room), (b, a, 0)] {
            self.out[from].push(self.to.len());
            self.to.push(to);
            self.room.push(room);
        }
    }

    pub fn run(&mut self, source: usize, sink: usize) {
        loop {
            let mut by: Vec<Option<usize>> = vec![None; self.out.len()];
            let mut queue = VecDeque::from([source]);
            while let Some(a) = queue.pop_front() {
                if by[sink].is_some() {
                    break;
                }
                for &e in &self.out[a] {
                    let b = self.to[e];
                    if self.room[e] > 0 && b != source && by[b].is_none() {
                        by[b] = Some(e);
                        queue.push_back(b);
                    }
                }
            }
            if by[sink].is_none() {
                return;
            }
            let mut path = Vec::new();
            let mut at = sink;
            while let (true, Some(e)) = (at != source, by[at]) {
                path.push(e);
                at = self.to[e ^ 1];
            }
            let Some(room) = path.iter().map(|&e| self.room[e]).min() else {
                return;
            };
            for e in path {
                self.room[e] -= room;
                self.room[e ^ 1] += room;
            }
        }
    }

    /// The nodes from which the sink can still be reached.
    pub fn reaching(&self, sink: usize) -> Vec<bool> {
        let mut seen = vec![false; self.out.len()];
        seen[sink] = true;
        let mut queue = VecDeque::from([sink]);
        while let Some(b) = queue.pop_front() {
            for &e in &self.out[b] {
                // The edge into b is the twin of one that leaves it.
                let a = self.to[e];
                if self.room[e ^ 1] > 0 && !seen[a] {
                    seen[a] = true;
                    queue.push_back(a);
                }
            }
        }
        seen
    }
}
