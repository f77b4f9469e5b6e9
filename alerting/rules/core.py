"""The twelve rules that any collector of market data needs: is it up, are the exchanges, is there room."""

from __future__ import annotations

from typing import Final

from alerting.rules import thresholds as at
from alerting.rules.model import Rule, by, shown

COLLECTOR_UP: Final = 'up{job="marketprism-collector"}'
"""Scraped, because nothing that the collector pushes says that it is gone: its series stay for five minutes."""
VENUE, MARKET, INSTANCE = shown("venue"), shown("market"), shown("instance")
REQUESTS: Final = "http_client_request_duration_seconds"
_OF_VENUE: Final = by("instance", "venue")
_OF_MARKET: Final = by("instance", "venue", "market")

_QUEUES: Final = tuple(
    f'label_replace(max by ({kept}) ({of}),\n    "queue", {name})'
    for name, kept, of in (
        ('"journal", "", ""', "instance", "marketprism_journal_size_bytes / marketprism_journal_limit_bytes"),
        ('"spans", "", ""', "instance", "otel_sdk_processor_span_queue_size / otel_sdk_processor_span_queue_capacity"),
        (
            '"log records", "", ""',
            "instance",
            "otel_sdk_processor_log_queue_size / otel_sdk_processor_log_queue_capacity",
        ),
        (
            '"$1", "exporter", "(.+)"',
            "instance, exporter",
            "otelcol_exporter_queue_size / otelcol_exporter_queue_capacity",
        ),
    )
)
"""Each a ratio of 1, named in the label `queue`."""

CORE: Final = (
    Rule(
        name="CollectorDown",
        priority="P1",
        scope="collector",
        value=f"{COLLECTOR_UP} == 0 or absent({COLLECTOR_UP})",
        hold_s=at.COLLECTOR_DOWN_FOR_S,
        by=("instance",),
        summary="A collector is down: no market data is being collected by it.",
        description=(
            "{{ with $labels.instance }}Prometheus cannot scrape {{ . }}{{ else }}Prometheus has no collector to "
            "scrape{{ end }}. What is missed is lost where the exchange does not give it again."
        ),
        summary_zh="采集器已停止：它不再采集任何行情。",
        description_zh=(
            "{{ with $labels.instance }}Prometheus 抓取不到 {{ . }}{{ else }}Prometheus 没有可抓取的采集器{{ end }}。"
            "漏掉的数据若交易所不再提供，就永久丢失。"
        ),
        span="marketprism.connection",
        board="overview",
        fault="the collector is killed",
        absent="firing",
    ),
    Rule(
        name="AllExchangesDown",
        priority="P1",
        scope="collector",
        value="max by (instance) (marketprism_connection_state)",
        when="== 0",
        hold_s=at.ALL_EXCHANGES_DOWN_FOR_S,
        by=("instance",),
        summary="No exchange is connected.",
        description=f"{INSTANCE} has no connection to any exchange. Look at its own network first.",
        summary_zh="没有连接到任何交易所。",
        description_zh=f"{INSTANCE} 与所有交易所都没有连接。请先检查它自身的网络。",
        span="marketprism.connection",
        board="overview",
        fault="every exchange refuses connections",
    ),
    Rule(
        name="StorageUnreachable",
        priority="P1",
        scope="collector",
        value="min by (instance) (marketprism_journal_state)",
        when="== 0",
        hold_s=at.STORAGE_UNREACHABLE_FOR_S,
        by=("instance",),
        summary="The journal cannot be written: records are being dropped.",
        description=(
            f"{INSTANCE} drops what it receives, "
            "{{ with printf `sum(increase(marketprism_journal_records_dropped_total{instance=%q}[5m]))` "
            "$labels.instance | query }}{{ . | first | value | humanize }}{{ end }} records in the last 5 min."
        ),
        summary_zh="日志无法写入：记录正在被丢弃。",
        description_zh=(
            f"{INSTANCE} 丢弃所收到的一切，最近 5 分钟丢弃了 "
            "{{ with printf `sum(increase(marketprism_journal_records_dropped_total{instance=%q}[5m]))` "
            "$labels.instance | query }}{{ . | first | value | humanize }}{{ end }} 条记录。"
        ),
        span="marketprism.burst.flush",
        fault="the journal's free-disk reserve is raised above what is free",
    ),
    Rule(
        name="ExchangeDown",
        priority="P2",
        scope="venue",
        value=f"max {_OF_MARKET} (marketprism_connection_state)",
        when="== 0",
        hold_s=at.EXCHANGE_DOWN_FOR_S,
        by=("instance", "venue", "market"),
        summary=f"{VENUE} {MARKET} is not connected.",
        description=f"{INSTANCE} has had no connection to {VENUE} {MARKET} for 5 min.",
        summary_zh=f"{VENUE} {MARKET} 未连接。",
        description_zh=f"{INSTANCE} 与 {VENUE} {MARKET} 断开连接已有 5 分钟。",
        span="marketprism.connection",
        fault="one exchange refuses connections",
    ),
    Rule(
        name="ExchangeUnstable",
        priority="P2",
        scope="venue",
        value=(
            f"round(sum {_OF_MARKET} (increase("
            'marketprism_connection_closed_total{marketprism_close_cause!~"rotation|shutdown"}[10m])))\n'
            f"/ count {_OF_MARKET} (marketprism_connection_state)"
        ),
        when=f"> {at.RECONNECTS}",
        by=("instance", "venue", "market"),
        summary=f"{VENUE} {MARKET} keeps losing its connection.",
        description=(
            f'{INSTANCE} lost each connection to {VENUE} {MARKET} {{{{ $value | printf "%.3g" }}}} times '
            f"in 10 min (more than {at.RECONNECTS})."
        ),
        summary_zh=f"{VENUE} {MARKET} 的连接反复断开。",
        description_zh=(
            f"10 分钟内，{INSTANCE} 到 {VENUE} {MARKET} 的每个连接断开了 "
            f'{{{{ $value | printf "%.3g" }}}} 次（超过 {at.RECONNECTS} 次）。'
        ),
        span="marketprism.connection",
        fault="one exchange closes its connections again and again",
    ),
    Rule(
        name="ApiSlow",
        priority="P2",
        scope="feed",
        value=f"histogram_quantile(0.95, sum by (instance, marketprism_venue, le) (rate({REQUESTS}_bucket[5m])))",
        when=f"> {at.API_P95_S}",
        hold_s=at.API_FOR_S,
        by=("instance", "venue"),
        summary=f"The REST API of {VENUE} is slow.",
        description=(
            f"One in 20 requests of {INSTANCE} to {VENUE} takes {{{{ $value | humanizeDuration }}}} or longer "
            f"(more than {at.API_P95_S} s)."
        ),
        summary_zh=f"{VENUE} 的 REST API 响应缓慢。",
        description_zh=(
            f"{INSTANCE} 对 {VENUE} 的请求，二十个里就有一个耗时 {{{{ $value | humanizeDuration }}}} 或更久"
            f"（超过 {at.API_P95_S} s）。"
        ),
        span="GET",
        fault="REST answers come late",
    ),
    Rule(
        name="ApiErrors",
        priority="P2",
        scope="feed",
        value=(
            f'sum {_OF_VENUE} (rate({REQUESTS}_count{{error_type!=""}}[5m]))\n'
            f"/ sum {_OF_VENUE} (rate({REQUESTS}_count[5m]))"
        ),
        when=f"> {at.API_ERRORS}",
        hold_s=at.API_FOR_S,
        by=("instance", "venue"),
        summary=f"The REST API of {VENUE} fails.",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the requests of {INSTANCE} to {VENUE} fail "
            f"(more than {at.API_ERRORS:.0%})."
        ),
        summary_zh=f"{VENUE} 的 REST API 请求失败。",
        description_zh=(
            f"{INSTANCE} 对 {VENUE} 的请求有 {{{{ $value | humanizePercentage }}}} 失败（超过 {at.API_ERRORS:.0%}）。"
        ),
        span="GET",
        fault="REST requests are answered with 503",
    ),
    Rule(
        name="MemoryHigh",
        priority="P3",
        scope="collector",
        value="max by (instance) (process_memory_usage_bytes / marketprism_memory_limit_bytes)",
        when=f"> {at.MEMORY_RATIO}",
        hold_s=at.MEMORY_FOR_S,
        by=("instance",),
        summary="A collector uses most of the memory that it may use.",
        description=f"{INSTANCE} uses {{{{ $value | humanizePercentage }}}} of its memory limit, then it is killed.",
        summary_zh="采集器的内存快要用到上限。",
        description_zh=f"{INSTANCE} 已使用其内存上限的 {{{{ $value | humanizePercentage }}}}，到达上限就会被杀死。",
        fault="a memory limit a little above what the collector uses",
    ),
    Rule(
        name="CpuHigh",
        priority="P3",
        scope="collector",
        value="sum by (instance) (rate(process_cpu_time_seconds_total[1m]))",
        when=f"> {at.CPU_RATIO}",
        hold_s=at.CPU_FOR_S,
        by=("instance",),
        summary="A collector uses most of its one core.",
        description=f"{INSTANCE} uses {{{{ $value | humanizePercentage }}}} of a core. At 100 % data comes late.",
        summary_zh="采集器几乎用满了它的一个核心。",
        description_zh=f"{INSTANCE} 使用了单核的 {{{{ $value | humanizePercentage }}}}。到 100 % 时数据会变晚。",
        span="marketprism.message",
        fault="more messages than one core can take",
    ),
    Rule(
        name="DiskFilling",
        priority="P3",
        scope="collector",
        value="max by (instance) (1 - marketprism_journal_free_bytes / marketprism_journal_capacity_bytes)",
        when=f"> {at.DISK_RATIO}",
        hold_s=at.DISK_FOR_S,
        by=("instance",),
        also=("email",),
        summary="The disk of the journal is filling up.",
        description=(
            f"The disk of {INSTANCE} is {{{{ $value | humanizePercentage }}}} full, "
            "{{ with printf `marketprism_journal_free_bytes{instance=%q}` $labels.instance | query }}"
            "{{ . | first | value | humanize1024 }}B{{ end }} are free. Below its reserve the journal stops."
        ),
        summary_zh="日志所在的磁盘快要满了。",
        description_zh=(
            f"{INSTANCE} 的磁盘已用 {{{{ $value | humanizePercentage }}}}，剩余 "
            "{{ with printf `marketprism_journal_free_bytes{instance=%q}` $labels.instance | query }}"
            "{{ . | first | value | humanize1024 }}B{{ end }}。低于保留值时日志停止写入。"
        ),
        fault="the journal on a small file system that is filled",
    ),
    Rule(
        name="DataLag",
        priority="P4",
        scope="feed",
        value=(
            f"sum {by('instance', 'venue', 'market', 'channel')} (rate(marketprism_feed_lag_seconds_sum[5m]))\n"
            f"/ sum {by('instance', 'venue', 'market', 'channel')} (rate(marketprism_feed_lag_seconds_count[5m]))"
        ),
        when=f"> {at.DATA_LAG_S}",
        hold_s=at.DATA_LAG_FOR_S,
        by=("instance", "venue", "market", "channel"),
        summary=f"{VENUE} {MARKET} {shown('channel')} comes minutes late.",
        description=(
            f"What {INSTANCE} receives of {VENUE} {MARKET} {shown('channel')} is "
            f"{{{{ $value | humanizeDuration }}}} old by the exchange's stamps (more than {at.DATA_LAG_S} s)."
        ),
        summary_zh=f"{VENUE} {MARKET} {shown('channel')} 的数据晚到数分钟。",
        description_zh=(
            f"按交易所的时间戳，{INSTANCE} 收到的 {VENUE} {MARKET} {shown('channel')} 晚到 "
            f"{{{{ $value | humanizeDuration }}}}（超过 {at.DATA_LAG_S} s）。"
        ),
        span="marketprism.message",
        fault="the exchange's stamps are ten minutes old",
    ),
    Rule(
        name="QueueFilling",
        priority="P4",
        scope="collector",
        value="(" + "\nor ".join(_QUEUES) + ")",
        when=f"> {at.QUEUE_RATIO}",
        hold_s=at.QUEUE_FOR_S,
        by=("instance",),
        labels={"exporter": ""},
        summary="A queue, or the journal, is nearly full.",
        description=(
            f"The queue `{{{{ $labels.queue }}}}` of {INSTANCE} is {{{{ $value | humanizePercentage }}}} full. "
            "Full, it drops: the journal its oldest segments, the others telemetry."
        ),
        summary_zh="某个队列或日志快要满了。",
        description_zh=(
            f"{INSTANCE} 的队列 `{{{{ $labels.queue }}}}` 已用 {{{{ $value | humanizePercentage }}}}。"
            "满了就会丢弃：日志丢弃最旧的段，其他队列丢弃遥测。"
        ),
        anywhere=True,
        fault="a journal limit a little above what is written",
    ),
)
