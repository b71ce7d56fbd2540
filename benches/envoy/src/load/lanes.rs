//! Requests over many connections at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rustls::ClientConfig;
use tls_session_binding_client::ExporterValue;
use tls_session_binding_e2e::Result;

use super::Protocol;
use super::connection::Connection;

/// Longest wait for any response.
const PATIENCE: Duration = Duration::from_secs(5);

/// Open connections to one listener, each with its requests.
pub struct Lanes {
    poll: Poll,
    events: Events,
    all: Vec<Lane>,
}

struct Lane {
    connection: Connection,
    /// Sent one after the other, again and again.
    requests: Vec<Box<[u8]>>,
    next: usize,
    /// Requests sent at once.
    depth: usize,
    under_way: usize,
    to_send: usize,
    /// When the request under way should have been sent.
    due: Instant,
}

impl Lanes {
    /// Opens `count` connections, which send `depth` requests at once.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn open(
        count: usize,
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        protocol: Protocol,
        depth: usize,
    ) -> Result<Self> {
        Self::over(count, depth, || {
            Connection::open(address, Arc::clone(config), protocol)
        })
    }

    /// As [`Lanes::open`], in the clear; all send `requests`.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn open_clear(
        count: usize,
        address: SocketAddr,
        protocol: Protocol,
        depth: usize,
        requests: &[Box<[u8]>],
    ) -> Result<Self> {
        let mut lanes = Self::over(count, depth, || Connection::open_clear(address, protocol))?;
        for lane in &mut lanes.all {
            lane.requests = requests.to_vec();
        }
        Ok(lanes)
    }

    fn over(count: usize, depth: usize, open: impl Fn() -> Result<Connection>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut all = Vec::with_capacity(count);
        for number in 0..count {
            let mut connection = open()?;
            connection.register(poll.registry(), Token(number))?;
            all.push(Lane::new(connection, depth));
        }
        let events = Events::with_capacity(count.max(1));
        Ok(Self { poll, events, all })
    }

    /// Number of connections.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Gives each connection its requests.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn prepare(
        &mut self,
        make: impl Fn(&ExporterValue) -> Result<Vec<Box<[u8]>>>,
    ) -> Result<()> {
        for lane in &mut self.all {
            lane.requests = make(&lane.connection.exporter()?)?;
            lane.next = 0;
        }
        Ok(())
    }

    /// Sends `each` requests on each connection, the next as soon as those before are answered.
    ///
    /// # Errors
    /// When one of them does not get the expected answer.
    pub fn run(&mut self, each: usize) -> Result<()> {
        let mut to_receive = each * self.all.len();
        for lane in &mut self.all {
            lane.to_send = each;
            lane.fill()?;
        }
        while to_receive > 0 {
            self.wait(PATIENCE)?;
            if self.events.is_empty() {
                return Err(format!("{to_receive} responses are missing").into());
            }
            for event in &self.events {
                if let Some(lane) = self.all.get_mut(event.token().0) {
                    to_receive -= lane.receive()?;
                    lane.fill()?;
                }
            }
        }
        Ok(())
    }

    /// Sends `count` requests, one every `interval` whatever the answers do; each waits for a
    /// connection without request under way. The result is how long after its time each was answered.
    ///
    /// # Errors
    /// When one of them does not get the expected answer.
    pub fn run_paced(&mut self, count: u32, interval: Duration) -> Result<Vec<Duration>> {
        let mut idle: Vec<usize> = (0..self.all.len()).collect();
        let mut latencies = Vec::new();
        let mut next = 0;
        let begin = Instant::now();
        while latencies.len() < count as usize {
            let due = begin + interval * next;
            if next < count
                && due <= Instant::now()
                && let Some(number) = idle.pop()
                && let Some(lane) = self.all.get_mut(number)
            {
                lane.due = due;
                lane.to_send = 1;
                lane.fill()?;
                next += 1;
            }
            self.wait(Duration::ZERO)?;
            for event in &self.events {
                let number = event.token().0;
                let lane = self.all.get_mut(number);
                if let Some(lane) = lane
                    && lane.receive()? == 1
                {
                    latencies.push(lane.due.elapsed());
                    idle.push(number);
                }
            }
        }
        Ok(latencies)
    }

    fn wait(&mut self, limit: Duration) -> Result<()> {
        Ok(self.poll.poll(&mut self.events, Some(limit))?)
    }
}

impl Lane {
    fn new(connection: Connection, depth: usize) -> Self {
        Self {
            connection,
            requests: Vec::new(),
            next: 0,
            depth,
            under_way: 0,
            to_send: 0,
            due: Instant::now(),
        }
    }

    /// Sends the next requests, once all before them are answered.
    fn fill(&mut self) -> Result<()> {
        if self.under_way > 0 {
            return Ok(());
        }
        let count = self.depth.min(self.to_send);
        for _ in 0..count {
            let request = self.requests.get(self.next).ok_or("nothing to send")?;
            self.connection.push(request);
            self.next = (self.next + 1) % self.requests.len();
        }
        self.under_way = count;
        self.to_send -= count;
        self.connection.flush()
    }

    fn receive(&mut self) -> Result<usize> {
        let responses = self.connection.receive()?;
        self.under_way = self
            .under_way
            .checked_sub(responses)
            .ok_or("more responses than requests")?;
        Ok(responses)
    }
}
