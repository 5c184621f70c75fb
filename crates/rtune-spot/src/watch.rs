use crate::{Client, Interruption, SpotError};
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A finding of a [`Watch`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The machine is no spot instance, so nothing takes it back. The last notice.
    NotSpot {
        /// Its life cycle, such as `on-demand`.
        life_cycle: String,
    },
    /// The machine will be taken back soon. The last notice.
    Interruption(Interruption),
    /// AWS recommends to move the work, because the machine has a higher risk than usual to be
    /// taken back. Comes once, and may be long before an interruption or without one.
    Rebalance {
        /// The time of the recommendation in ISO 8601, in UTC.
        time: String,
    },
    /// The service fails. It is asked again; other failures are no notices until it has answered.
    Failure(SpotError),
}

/// A thread that asks for notices until it is dropped.
///
/// Dropping it waits for an exchange that is under way, which takes a few seconds at most.
#[derive(Debug)]
pub struct Watch {
    /// Closed to end the thread.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// The time between two questions that AWS recommends.
    pub const INTERVAL: Duration = Duration::from_secs(5);

    /// Starts to ask, at once and then at intervals. `receive` is called in the thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        mut client: Client,
        interval: Duration,
        mut receive: impl FnMut(Notice) + Send + 'static,
    ) -> io::Result<Self> {
        let (running, is_running) = channel();
        let thread = std::thread::Builder::new().name("spot".to_owned());
        let mut asked = Asked::default();
        let thread = thread.spawn(move || {
            loop {
                for notice in asked.notices(&mut client) {
                    let is_last =
                        matches!(notice, Notice::NotSpot { .. } | Notice::Interruption(_));
                    receive(notice);
                    if is_last {
                        return;
                    }
                }
                if is_running.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Self {
            running: Some(running),
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the receiver has been printed.
            let _ = thread.join();
        }
    }
}

/// The answers so far.
#[derive(Default)]
struct Asked {
    is_spot: bool,
    rebalance: bool,
    failing: bool,
}

impl Asked {
    /// Asks once and returns what is new.
    fn notices(&mut self, client: &mut Client) -> Vec<Notice> {
        let mut found = Vec::new();
        let asked = self.ask(client, &mut found);
        match asked {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                found.push(Notice::Failure(error));
            }
            Err(_) => {}
        }
        found
    }

    fn ask(&mut self, client: &mut Client, found: &mut Vec<Notice>) -> Result<(), SpotError> {
        if !self.is_spot {
            let life_cycle = client.life_cycle()?;
            self.is_spot = life_cycle == "spot";
            if !self.is_spot {
                found.push(Notice::NotSpot { life_cycle });
                return Ok(());
            }
        }
        if let Some(interruption) = client.interruption()? {
            found.push(Notice::Interruption(interruption));
            return Ok(());
        }
        if !self.rebalance
            && let Some(time) = client.rebalance()?
        {
            self.rebalance = true;
            found.push(Notice::Rebalance { time });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_testkit::MetadataService;
    use std::sync::mpsc::Receiver;

    const INTERRUPTION: &str = "/latest/meta-data/spot/instance-action";
    const REBALANCE: &str = "/latest/meta-data/events/recommendations/rebalance";

    fn watch(service: &MetadataService) -> (Watch, Receiver<Notice>) {
        let client = Client::new(service.address().parse().unwrap());
        let (sender, receiver) = channel();
        let receive = move |notice| sender.send(notice).unwrap();
        let watch = Watch::start(client, Duration::from_millis(5), receive).unwrap();
        (watch, receiver)
    }

    fn next(receiver: &Receiver<Notice>) -> Notice {
        receiver.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn each_notice_comes_once_and_the_interruption_last() {
        let service = MetadataService::start();
        let (watch, receiver) = watch(&service);
        service.set(REBALANCE, 200, r#"{"noticeTime": "T"}"#);
        assert!(matches!(next(&receiver), Notice::Rebalance { time } if time == "T"));
        service.set(INTERRUPTION, 500, "");
        assert!(matches!(next(&receiver), Notice::Failure(_)));
        service.set(INTERRUPTION, 404, "");
        std::thread::sleep(Duration::from_millis(100));
        service.set(INTERRUPTION, 500, "");
        assert!(matches!(next(&receiver), Notice::Failure(_)));
        service.set(INTERRUPTION, 200, r#"{"action": "stop", "time": "U"}"#);
        assert!(matches!(next(&receiver), Notice::Interruption(i) if i.action == "stop"));
        // The thread has ended, and with it the sender.
        assert!(receiver.recv().is_err());
        drop(watch);
    }

    #[test]
    fn other_machines_are_not_watched() {
        let service = MetadataService::start();
        service.set("/latest/meta-data/instance-life-cycle", 200, "on-demand");
        let (_watch, receiver) = watch(&service);
        let found = next(&receiver);
        assert!(matches!(found, Notice::NotSpot { life_cycle } if life_cycle == "on-demand"));
        assert!(receiver.recv().is_err());
    }

    #[test]
    fn dropping_ends_the_thread() {
        let service = MetadataService::start();
        let (watch, receiver) = watch(&service);
        drop(watch);
        assert!(receiver.recv().is_err());
    }
}
