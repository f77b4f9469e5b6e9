"""The proofs of the burning budgets, a minute a step."""

from tests.alerting.proofs.kit import Level, Proof
from tests.alerting.proofs.world import RESOURCE, lag, own, series, verdict

MINUTE, HOUR = 60, 3600
LOST = series(
    "marketprism_gap_records_lost_total", venue="kraken", market="spot", channel="trades", gap_cause="sequence"
)
DROPPED = series("marketprism_journal_records_dropped_total", drop_reason="reserve")
WITHIN = lag("kraken", "bucket", le="1")
# With fifty streams one of them is 2 %.
MANY: dict[str, Level] = {
    f'marketprism_verdict{{{RESOURCE},marketprism_channel="trades",marketprism_instrument="X{n}"}}': 0
    for n in range(42)
}
FAST = "1h and 5m at 14.4 times the pace or 6h and 30m at 6 times the pace"
SLOW = "1d and 2h at 3 times the pace or 3d and 6h at 1 times the pace"
FRESH = "99.5% of the time, over all streams, data flows: neither syncing, stale, broken, nor is the collector down"
WHOLE = "99.9% of the exchanges' records arrive: each that is known to be missing counts, and each gap at least once"
QUICK = "99.0% of the records are here within 1 s of the exchange's stamp"
STORED = "99.9% of the received records are accepted by the journal"
FAST_ZH = "1h 与 5m 窗口内为 14.4 倍速，或 6h 与 30m 窗口内为 6 倍速"
SLOW_ZH = "1d 与 2h 窗口内为 3 倍速，或 3d 与 6h 窗口内为 1 倍速"
FRESH_ZH = "99.5% 的时间里（按全部数据流计）数据在流动：不处于同步中、沉默、损坏，采集器也没有停机"
WHOLE_ZH = "99.9% 的交易所记录到达：每条已知缺失的都计入，每个缺口至少计一条"
QUICK_ZH = "99.0% 的记录在交易所时间戳之后 1 s 内到达"
STORED_ZH = "99.9% 的已收到记录被日志接受"


def burning(
    name: str,
    span: str,
    promises: tuple[str, str],
    may: str,
    fast: tuple[dict[str, Level], int, int, str, str],
    slow: tuple[dict[str, Level], int, int, str, str],
    well: dict[str, Level],
) -> list[Proof]:
    """The two proofs of an objective.

    `promises`: in both languages. `fast`, `slow`: what is ill, rises_s, clears_s, failed, left.
    """
    return [
        Proof(
            alert=f"{name.capitalize()}BudgetBurn",
            priority=priority,
            ill=ill,
            well=well if speed == "slow" else {},
            rises_s=rises_s,
            clears_s=clears_s,
            lasts_s=MINUTE,
            before_s=2 * HOUR,
            step_s=MINUTE,
            labels={"slo": name, "burn": speed},
            summary=f"The error budget of {name} burns {how}.",
            description=(
                f"{failed} failed over the longer window ({windows}); {may} may in 30 days. Promised: {promises[0]}. "
                f"Left of the month's budget: {left}."
            ),
            summary_zh=f"{name} 的错误预算正在{how_zh}消耗。",
            description_zh=(
                f"较长窗口内有 {failed} 失败（{windows_zh}）；30 天内允许 {may}。承诺：{promises[1]}。"
                f"本月预算剩余：{left}。"
            ),
            trace=f"{span}&lookback=1h",
        )
        for speed, priority, how, how_zh, windows, windows_zh, (ill, rises_s, clears_s, failed, left) in (
            ("fast", "P2", "fast", "快速", FAST, FAST_ZH, fast),
            ("slow", "P3", "steadily", "持续", SLOW, SLOW_ZH, slow),
        )
    ]


OBJECTIVES = (
    *burning(
        "freshness",
        "marketprism.connection",
        (FRESH, FRESH_ZH),
        "0.5%",
        (
            {verdict("kraken", channel): 4 for channel in ("book", "trades", "quotes", "liquidations")},
            11 * MINUTE,
            7 * MINUTE,
            "7.708%",
            "97.86%",
        ),
        ({verdict("kraken", "trades"): 4}, 1082 * MINUTE, 272 * MINUTE, "1.5%", "90%"),
        MANY,
    ),
    *burning(
        "completeness",
        "marketprism.gap",
        (WHOLE, WHOLE_ZH),
        "0.1%",
        ({LOST: 50}, 19 * MINUTE, 5 * MINUTE, "1.478%", "97.91%"),
        ({LOST: 5}, 868 * MINUTE, 289 * MINUTE, "0.3002%", "89.99%"),
        {},
    ),
    *burning(
        "latency",
        "marketprism.message",
        (QUICK, QUICK_ZH),
        "1.0%",
        ({WITHIN: 0}, 18 * MINUTE, 5 * MINUTE, "14.58%", "97.95%"),
        ({WITHIN: 460}, 1080 * MINUTE, 271 * MINUTE, "3.002%", "89.99%"),
        {},
    ),
    *burning(
        "delivery",
        "marketprism.burst.flush",
        (STORED, STORED_ZH),
        "0.1%",
        (
            {DROPPED: 1000, own("marketprism_journal_records_accepted_total"): 0},
            2 * MINUTE,
            32 * MINUTE,
            "2.01%",
            "97.18%",
        ),
        ({DROPPED: 5}, 868 * MINUTE, 289 * MINUTE, "0.3002%", "89.99%"),
        {},
    ),
)
