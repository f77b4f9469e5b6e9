"""The proofs of the twelve core rules."""

from tests.alerting.proofs.kit import Proof
from tests.alerting.proofs.world import EXPORTER_QUEUE, UP, closed, connection, lag, own, requests, series

ONE = {"instance": "collector-1"}
AT_KRAKEN = "&lookback=1h&tags=%7B%22marketprism.venue%22%3A%22kraken%22%7D"
KRAKEN = {**ONE, "venue": "kraken", "market": "spot"}

CORE = (
    Proof(
        alert="CollectorDown",
        ill={UP: 0},
        labels={**ONE, "job": "marketprism-collector"},
        summary="A collector is down: no market data is being collected by it.",
        description=(
            "Prometheus cannot scrape collector-1. What is missed is lost where the exchange does not give it again."
        ),
        trace="marketprism.connection&lookback=1h",
    ),
    Proof(
        alert="AllExchangesDown",
        ill={connection("kraken"): 0, connection("binance"): 0},
        labels=ONE,
        summary="No exchange is connected.",
        description="collector-1 has no connection to any exchange. Look at its own network first.",
        trace="marketprism.connection&lookback=1h",
    ),
    Proof(
        alert="StorageUnreachable",
        ill={
            own("marketprism_journal_state"): 0,
            series("marketprism_journal_records_dropped_total", drop_reason="reserve"): 1000,
        },
        labels=ONE,
        summary="The journal cannot be written: records are being dropped.",
        description="collector-1 drops what it receives, 13k records in the last 5 min.",
        lasts_s=5,
        trace="marketprism.burst.flush&lookback=1h",
    ),
    Proof(
        alert="ExchangeDown",
        ill={connection("kraken"): 0},
        labels=KRAKEN,
        summary="kraken spot is not connected.",
        description="collector-1 has had no connection to kraken spot for 5 min.",
        trace=f"marketprism.connection{AT_KRAKEN}",
    ),
    Proof(
        alert="ExchangeUnstable",
        # One connection lost every two minutes: five in ten.
        ill={closed("kraken", "remote"): 5 / 120},
        labels=KRAKEN,
        summary="kraken spot keeps losing its connection.",
        description="collector-1 lost each connection to kraken spot 4 times in 10 min (more than 3).",
        rises_s=415,
        lasts_s=30,
        clears_s=595,
        trace=f"marketprism.connection{AT_KRAKEN}",
    ),
    Proof(
        alert="ApiSlow",
        ill={
            requests("kraken", "bucket", http_response_status_code="200", le="0.5"): 0,
            requests("kraken", "bucket", http_response_status_code="200", le="5"): 0,
        },
        labels={**ONE, "venue": "kraken"},
        summary="The REST API of kraken is slow.",
        description="One in 20 requests of collector-1 to kraken takes 9.75s or longer (more than 5 s).",
        rises_s=10,
        clears_s=280,
        trace=f"GET{AT_KRAKEN}",
    ),
    Proof(
        alert="ApiErrors",
        ill={requests("kraken", "count", http_response_status_code="503", error_type="503"): 0.25},
        labels={**ONE, "venue": "kraken"},
        summary="The REST API of kraken fails.",
        description="20% of the requests of collector-1 to kraken fail (more than 10%).",
        rises_s=130,
        clears_s=160,
        trace=f"GET{AT_KRAKEN}",
    ),
    Proof(
        alert="MemoryHigh",
        ill={own("process_memory_usage_bytes"): 810e6},
        labels=ONE,
        summary="A collector uses most of the memory that it may use.",
        description="collector-1 uses 81% of its memory limit, then it is killed.",
    ),
    Proof(
        alert="CpuHigh",
        ill={series("process_cpu_time_seconds_total", cpu_mode="user"): 4.25},
        labels=ONE,
        summary="A collector uses most of its one core.",
        description="collector-1 uses 90% of a core. At 100 % data comes late.",
        rises_s=50,
        trace="marketprism.message&lookback=1h",
    ),
    Proof(
        alert="DiskFilling",
        ill={own("marketprism_journal_free_bytes"): 140e9},
        labels={**ONE, "also": "email"},
        summary="The disk of the journal is filling up.",
        description="The disk of collector-1 is 86% full, 130.4GiB are free. Below its reserve the journal stops.",
    ),
    Proof(
        alert="DataLag",
        ill={lag("kraken", "sum"): 200_000},
        labels={**KRAKEN, "channel": "trades"},
        summary="kraken spot trades comes minutes late.",
        description=(
            "What collector-1 receives of kraken spot trades is 6m 40s old by the exchange's stamps (more than 300 s)."
        ),
        rises_s=220,
        clears_s=70,
        trace=f"marketprism.message{AT_KRAKEN}",
    ),
    *(
        Proof(
            alert="QueueFilling",
            ill={size: full},
            labels={"instance": instance, "queue": queue},
            summary="A queue, or the journal, is nearly full.",
            description=(
                f"The queue `{queue}` of {instance} is {ratio} full. Full, it drops: the journal its oldest segments, "
                "the others telemetry."
            ),
        )
        for size, full, instance, queue, ratio in (
            (own("marketprism_journal_size_bytes"), 17e9, "collector-1", "journal", "85%"),
            (own("otel_sdk_processor_span_queue_size"), 2048, "collector-1", "spans", "100%"),
            (own("otel_sdk_processor_log_queue_size"), 1700, "collector-1", "log records", "83.01%"),
            (EXPORTER_QUEUE, 900, "otelcol:8888", "otlp_grpc/jaeger", "90%"),
        )
    ),
)
