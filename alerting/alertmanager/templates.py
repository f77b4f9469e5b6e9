"""The words of Slack and e-mail, as Alertmanager's own templates: one file a language, from the bridge's vocabulary.

It owns their form: each alert in full while they are few, else each in a line, as many as a person reads; the title
counts them all. What an alert says cannot become Slack's markup.

Language: https://prometheus.io/docs/alerting/latest/notifications/
"""

from __future__ import annotations

from typing import Final

from alerting.bridge.message import MARKS, RESOLVED_MARK, WHERE
from alerting.bridge.settings import LANGUAGES, Language
from alerting.bridge.words import WORDS

FULL: Final = 5
"""So many alerts are told in full."""
LINES: Final = 40
"""So many have a line in Slack."""
_COLORS: Final = {"P1": "#D93026", "P2": "#E8710A", "P3": "#B08800", "P4": "#1A73E8"}
_SHOWN: Final[dict[Language, str]] = {"en": "the first {n} of {all}", "zh-CN": "共 {all} 条，显示前 {n} 条"}

_TEMPLATE: Final = """\
{{/* Generated from alerting/alertmanager/templates.py by `python -m alerting.alertmanager`. Do not edit. */}}

{{ define "marketprism.LANG.mark" -}}
{{ if eq .Status "resolved" }}RESOLVED_MARKMARKS{{ else }}NO_MARK{{ end }}
{{- end }}

{{ define "marketprism.LANG.state" -}}
{{ if eq .Status "resolved" }}STATE_RESOLVED{{ else }}STATE_FIRING{{ end }}
{{- end }}

{{ define "marketprism.LANG.where" -}}
WHERE
{{- end }}

{{ define "marketprism.LANG.summary" -}}
{{ SUMMARY }}
{{- end }}

{{ define "marketprism.LANG.times" -}}
{{ if eq .Status "resolved" }}OVER{{ else }}SINCE{{ end }}
{{- end }}

{{ define "marketprism.LANG.counts" -}}
{{ with len .Alerts.Firing }}FIRING{{ end }}
{{- if and .Alerts.Firing .Alerts.Resolved }}SEPARATOR{{ end }}
{{- with len .Alerts.Resolved }}N_RESOLVED{{ end }}
{{- end }}

{{ define "marketprism.LANG.title" -}}
{{ $first := index .Alerts 0 -}}
{{ template "marketprism.LANG.mark" (index (or .Alerts.Firing .Alerts) 0) }} {{ with .CommonLabels.priority }}{{ . }} {{ end -}}
{{ or .CommonLabels.alertname "MarketPrism" }}
{{- with .CommonLabels.alert }} ({{ . }}){{ end -}}
{{ with .CommonLabels.venue }} · {{ . }}{{ end -}}
{{ if eq (len .Alerts) 1 }} · {{ template "marketprism.LANG.state" $first }}
{{- else }} · {{ template "marketprism.LANG.counts" . }}{{ end }}
{{- end }}

{{ define "marketprism.LANG.slack.title" }}{{ template "marketprism.LANG.title" . }}{{ end }}

{{ define "marketprism.LANG.slack.line" -}}
{{ template "marketprism.LANG.mark" . }} *{{ with .Labels.priority }}{{ SAFE }}{{ end }} {{ template "marketprism.LANG.state" . }}* · {{ with .Labels.alertname }}{{ SAFE }}{{ end }}
{{- with .Labels.alert }} ({{ SAFE }}){{ end }}PLACE_IN_SLACK
{{- end }}

{{ define "marketprism.LANG.slack.full" -}}
{{ template "marketprism.LANG.slack.line" . }}
{{ SAFE_SUMMARY }}
{{ with DESCRIPTION }}> {{ SAFE }}
{{ end -}}
{{ template "marketprism.LANG.times" . }}
LINKS
{{- end }}

{{ define "marketprism.LANG.slack.text" -}}
{{ $all := len .Alerts -}}
{{ $few := le $all FULL_N -}}
{{ range $i, $alert := .Alerts -}}
{{ if $few }}{{ template "marketprism.LANG.slack.full" $alert }}

{{ else if lt $i LINES_N }}{{ template "marketprism.LANG.slack.line" $alert }} · {{ with $alert }}{{ SAFE_SUMMARY }}{{ end }}
{{ end -}}
{{ end -}}
{{ if gt $all LINES_N }}*SHOWN* <{{ .ExternalURL }}/#/alerts|CUT_LINK>{{ end }}
{{- end }}

{{ define "marketprism.LANG.email.subject" }}{{ template "marketprism.LANG.title" . }}{{ end }}

{{ define "marketprism.LANG.email.text" -}}
{{ template "marketprism.LANG.title" . }}
{{ range .Alerts }}
{{ template "marketprism.LANG.mark" . }} {{ .Labels.priority }} {{ template "marketprism.LANG.state" . }} · {{ .Labels.alertname }}
{{- with .Labels.alert }} ({{ . }}){{ end }}{{ template "marketprism.LANG.where" . }}
{{ template "marketprism.LANG.summary" . }}
{{ with DESCRIPTION }}{{ . }}
{{ end -}}
{{ template "marketprism.LANG.times" . }}
TEXT_LINKS
{{- end }}
Alertmanager: {{ .ExternalURL }}/#/alerts
{{ end }}

{{ define "marketprism.LANG.email.html" -}}
<!DOCTYPE html>
<html lang="LANG"><body style="font-family:sans-serif">
<h2>{{ template "marketprism.LANG.title" . }}</h2>
{{ range .Alerts -}}
<div style="border-left:4px solid {{ if eq .Status "resolved" }}#188038COLORS{{ else }}#5F6368{{ end }};padding:4px 12px;margin:12px 0">
<b>{{ template "marketprism.LANG.mark" . }} {{ .Labels.priority }} {{ template "marketprism.LANG.state" . }} · {{ .Labels.alertname }}
{{- with .Labels.alert }} ({{ . }}){{ end }}{{ template "marketprism.LANG.where" . }}</b><br>
{{ template "marketprism.LANG.summary" . }}<br>
{{ with DESCRIPTION }}{{ . }}<br>{{ end }}
<small>{{ template "marketprism.LANG.times" . }}</small><br>
HTML_LINKS
</div>
{{ end -}}
<p><a href="{{ .ExternalURL }}/#/alerts">Alertmanager</a></p>
</body></html>
{{- end }}
"""  # noqa: E501 - lines as the messages have them


def files() -> dict[str, str]:
    """The text of each file, by its path beside alertmanager.yml."""
    return {f"templates/{language}.tmpl": _file(language) for language in LANGUAGES}


def _file(language: Language) -> str:
    words = WORDS[language]
    summary = _annotation("summary", words.annotation_suffix)
    description = _annotation("description", words.annotation_suffix)
    start, end = _moment(".StartsAt"), _moment(".EndsAt")
    lasted = "{{ (.EndsAt.Sub .StartsAt).Seconds | humanizeDuration }}"
    links = (
        ("runbook_url", words.runbook),
        ("dashboard_url", words.dashboard),
        ("trace_url", words.trace),
        ("log_url", words.log),
    )
    shown = _SHOWN[language].format(n=LINES, all="{{ $all }}")
    parts = {
        "HTML_LINKS": _links(links, words.annotation_suffix, '<a href="{{ . }}">NAME</a> '),
        "TEXT_LINKS": _links(links, words.annotation_suffix, "NAME: {{ . }}\n"),
        "LINKS": _links(links, words.annotation_suffix, "<{{ . }}|NAME>  "),
        "RESOLVED_MARK": RESOLVED_MARK,
        "NO_MARK": MARKS[""],
        "MARKS": _by_priority({name: mark for name, mark in MARKS.items() if name}),
        "COLORS": _by_priority(_COLORS),
        "STATE_RESOLVED": words.state_resolved,
        "STATE_FIRING": words.state_firing,
        "WHERE": _where("."),
        "PLACE_IN_SLACK": _where(_safe(".")),
        "SAFE_SUMMARY": _safe(f"({summary})"),
        "SAFE": _safe("."),
        "SUMMARY": summary,
        "DESCRIPTION": f"({description})" if " " in description else description,
        "OVER": words.over.format(start=start, end=end, duration=lasted),
        "SINCE": words.since.format(start=start),
        "N_RESOLVED": words.resolved.format(n="{{ . }}"),
        "FIRING": words.firing.format(n="{{ . }}"),
        "SEPARATOR": words.separator,
        "SHOWN": shown,
        "CUT_LINK": words.cut_link,
        "FULL_N": str(FULL),
        "LINES_N": str(LINES),
        "LANG": language,
    }
    text = _TEMPLATE
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def _annotation(name: str, suffix: str) -> str:
    return f"or .Annotations.{name}{suffix} .Annotations.{name}" if suffix else f".Annotations.{name}"


def _moment(field: str) -> str:
    return f'{{{{ {field}.UTC.Format "2006-01-02 15:04:05" }}}} UTC'


def _by_priority(texts: dict[str, str]) -> str:
    return "".join(f'{{{{ else if eq .Labels.priority "{name}" }}}}{text}' for name, text in texts.items())


def _links(links: tuple[tuple[str, str], ...], suffix: str, form: str) -> str:
    return "".join(
        f"{{{{ with {_annotation(key, suffix)} }}}}{form.replace('NAME', name)}{{{{ end }}}}" for key, name in links
    )


def _where(what: str) -> str:
    return "".join(f"{{{{ with .Labels.{label} }}}} · {{{{ {what} }}}}{{{{ end }}}}" for label in WHERE)


def _safe(what: str) -> str:
    """Slack's three characters, as https://docs.slack.dev/messaging/formatting-message-text has them escaped."""
    return f'reReplaceAll ">" "&gt;" (reReplaceAll "<" "&lt;" (reReplaceAll "&" "&amp;" {what}))'
