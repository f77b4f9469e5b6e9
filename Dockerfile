# MarketPrism's own image: the collector, the bridge, and what writes Alertmanager's configuration (target `runtime`, the
# default); the simulated exchanges (target `simulator`). Everything installed comes from the lock files, by hash; nothing
# is fetched from Debian. Registry, Python and package index are arguments: docker-compose.yml passes those of .env.
ARG DOCKER_IO=docker.io
ARG PYTHON_VERSION=3.13.9

FROM ${DOCKER_IO}/library/python:${PYTHON_VERSION}-slim-trixie AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

FROM base AS build
# An argument of this stage is in no layer of the final images; an address with a password stays in the build cache all
# the same: prefer a mirror that needs none.
ARG PIP_INDEX_URL=https://pypi.org/simple
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/run.lock requirements/demo.lock requirements/
# Two environments without pip: what runs, and what builds the wheel and has the simulator's certificates.
RUN python -m venv --without-pip /opt/marketprism \
    && python -m venv --without-pip /opt/simulator \
    && pip --python /opt/marketprism/bin/python install --no-compile --no-deps --require-hashes -r requirements/run.lock \
    && pip --python /opt/simulator/bin/python install --no-compile --no-deps --require-hashes -r requirements/demo.lock
COPY pyproject.toml LICENSE ./
COPY alerting/ alerting/
COPY collector/ collector/
COPY simulator/ simulator/
COPY telemetry/ telemetry/
# Bytecode that names its source by hash, not by time: two builds of one checkout give the same files.
RUN pip --python /opt/simulator/bin/python wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/marketprism/bin/python install --no-compile --no-index --no-deps /wheels/marketprism-*.whl \
    && pip --python /opt/simulator/bin/python install --no-compile --no-index --no-deps /wheels/marketprism-*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/marketprism /opt/simulator

FROM base AS user
# A new volume takes the owner of the folder that it is first mounted over: so all of them are writable without root.
RUN groupadd --gid 10001 marketprism \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/marketprism --no-create-home --shell /usr/sbin/nologin marketprism \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/marketprism /var/lib/otelcol /var/lib/loki /var/lib/simulator \
    && install -d -o 10001 -g 10001 -m 0755 /var/lib/alertmanager-config /var/lib/simulator-ca
WORKDIR /var/lib/marketprism
USER 10001:10001

FROM user AS simulator
COPY --from=build /opt/simulator /opt/simulator
ENV PATH=/opt/simulator/bin:$PATH
EXPOSE 8900 8943
ENTRYPOINT ["python", "-m", "simulator"]

FROM user AS runtime
COPY --from=build /opt/marketprism /opt/marketprism
ENV PATH=/opt/marketprism/bin:$PATH
EXPOSE 8080 8081
ENTRYPOINT ["marketprism"]
CMD ["run"]
