//! A member of a chitchat cluster for the benchmark: the default failure detector, and the given gossip interval.

mod line;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chitchat::transport::UdpTransport;
use chitchat::{Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig};
use chitchat::{KeyChangeEvent, ProtocolVersion, spawn_chitchat};
use line::{Event, Options};

const VALUE_KEY: &str = "value";
/// Chooses protocol version 1. A cluster may use it once no member is older than chitchat 0.13.
const COMPRESSED_DIGEST: &str = "--compressed-digest";

#[tokio::main]
async fn main() {
    let options = line::options();
    let handle = start(&options).await;
    handle
        .with_chitchat(|chitchat| report_values(chitchat, &options.id))
        .await;
    tokio::spawn(report_members(
        handle.chitchat().lock().await.live_nodes_watcher(),
        options.id.clone(),
    ));
    line::report(Event::Ready(&options.id));
    let chitchat = handle.chitchat();
    let _ = tokio::task::spawn_blocking(move || {
        line::follow(|value| {
            chitchat
                .blocking_lock()
                .self_node_state()
                .set(VALUE_KEY, value)
        });
    })
    .await;
    // The process ends with its standard input, so none outlives the benchmark.
    std::process::exit(0);
}

async fn start(options: &Options) -> ChitchatHandle {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let generation = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs();
    let is_compressed = std::env::args().any(|argument| argument == COMPRESSED_DIGEST);
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(options.id.clone(), generation, address),
        cluster_id: "bench".to_string(),
        gossip_interval: Duration::from_millis(options.gossip_interval_ms),
        listen_addr: address,
        seed_nodes: options.seeds.clone(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_secs(3_600),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: if is_compressed {
            ProtocolVersion::V1
        } else {
            ProtocolVersion::V0
        },
    };
    spawn_chitchat(config, Vec::new(), &UdpTransport)
        .await
        .expect("a free port")
}

fn report_values(chitchat: &mut Chitchat, id: &str) {
    let id = id.to_string();
    let on_change = move |event: KeyChangeEvent| {
        if *event.node.node_id != *id {
            line::report(Event::Seen(event.value));
        }
    };
    chitchat.subscribe_event(VALUE_KEY, on_change).forever();
}

type LiveNodes = std::collections::BTreeMap<ChitchatId, chitchat::NodeState>;

/// Reports the number of live members, this one included, and every member that is no longer live.
async fn report_members(mut watcher: tokio::sync::watch::Receiver<LiveNodes>, id: String) {
    let mut known: BTreeSet<Arc<str>> = BTreeSet::new();
    while watcher.changed().await.is_ok() {
        let mut live: BTreeSet<Arc<str>> = watcher
            .borrow_and_update()
            .keys()
            .map(|each| each.node_id.clone())
            .collect();
        live.insert(id.as_str().into());
        if live == known {
            continue;
        }
        for gone in known.difference(&live) {
            line::report(Event::Gone(gone));
        }
        line::report(Event::Members(live.len()));
        known = live;
    }
}
