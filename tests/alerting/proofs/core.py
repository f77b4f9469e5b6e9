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
        summary_zh="采集器已停止：它不再采集任何行情。",
        description_zh="Prometheus 抓取不到 collector-1。漏掉的数据若交易所不再提供，就永久丢失。",
        trace="marketprism.connection&lookback=1h",
    ),
    Proof(
        alert="AllExchangesDown",
        ill={connection("kraken"): 0, connection("binance"): 0},
        labels=ONE,
        summary="No exchange is connected.",
        description="collector-1 has no connection to any exchange. Look at its own network first.",
        summary_zh="没有连接到任何交易所。",
        description_zh="collector-1 与所有交易所都没有连接。请先检查它自身的网络。",
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
        summary_zh="日志无法写入：记录正在被丢弃。",
        description_zh="collector-1 丢弃所收到的一切，最近 5 分钟丢弃了 13k 条记录。",
        lasts_s=5,
        trace="marketprism.burst.flush&lookback=1h",
    ),
    Proof(
        alert="ExchangeDown",
        ill={connection("kraken"): 0},
        labels=KRAKEN,
        summary="kraken spot is not connected.",
        description="collector-1 has had no connection to kraken spot for 5 min.",
        summary_zh="kraken spot 未连接。",
        description_zh="collector-1 与 kraken spot 断开连接已有 5 分钟。",
        trace=f"marketprism.connection{AT_KRAKEN}",
    ),
    Proof(
        alert="ExchangeUnstable",
        # One connection lost every two minutes: five in ten.
        ill={closed("kraken", "remote"): 5 / 120},
        labels=KRAKEN,
        summary="kraken spot keeps losing its connection.",
        description="collector-1 lost each connection to kraken spot 4 times in 10 min (more than 3).",
        summary_zh="kraken spot 的连接反复断开。",
        description_zh="10 分钟内，collector-1 到 kraken spot 的每个连接断开了 4 次（超过 3 次）。",
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
        summary_zh="kraken 的 REST API 响应缓慢。",
        description_zh="collector-1 对 kraken 的请求，二十个里就有一个耗时 9.75s 或更久（超过 5 s）。",
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
        summary_zh="kraken 的 REST API 请求失败。",
        description_zh="collector-1 对 kraken 的请求有 20% 失败（超过 10%）。",
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
        summary_zh="采集器的内存快要用到上限。",
        description_zh="collector-1 已使用其内存上限的 81%，到达上限就会被杀死。",
    ),
    Proof(
        alert="CpuHigh",
        ill={series("process_cpu_time_seconds_total", cpu_mode="user"): 4.25},
        labels=ONE,
        summary="A collector uses most of its one core.",
        description="collector-1 uses 90% of a core. At 100 % data comes late.",
        summary_zh="采集器几乎用满了它的一个核心。",
        description_zh="collector-1 使用了单核的 90%。到 100 % 时数据会变晚。",
        rises_s=50,
        trace="marketprism.message&lookback=1h",
    ),
    Proof(
        alert="DiskFilling",
        ill={own("marketprism_journal_free_bytes"): 140e9},
        labels={**ONE, "also": "email"},
        summary="The disk of the journal is filling up.",
        description="The disk of collector-1 is 86% full, 130.4GiB are free. Below its reserve the journal stops.",
        summary_zh="日志所在的磁盘快要满了。",
        description_zh="collector-1 的磁盘已用 86%，剩余 130.4GiB。低于保留值时日志停止写入。",
    ),
    Proof(
        alert="DataLag",
        ill={lag("kraken", "sum"): 200_000},
        labels={**KRAKEN, "channel": "trades"},
        summary="kraken spot trades comes minutes late.",
        description=(
            "What collector-1 receives of kraken spot trades is 6m 40s old by the exchange's stamps (more than 300 s)."
        ),
        summary_zh="kraken spot trades 的数据晚到数分钟。",
        description_zh="按交易所的时间戳，collector-1 收到的 kraken spot trades 晚到 6m 40s（超过 300 s）。",
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
            summary_zh="某个队列或日志快要满了。",
            description_zh=(
                f"{instance} 的队列 `{queue}` 已用 {ratio}。满了就会丢弃：日志丢弃最旧的段，其他队列丢弃遥测。"
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
