# The image of the action. Built without BuildKit's extras, so that any builder can build it:
#   docker build --build-arg WITH_LIBREOFFICE=0 -t skillgrad-ci:slim .
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock /src/requirements.lock
RUN python3 -m venv --copies /opt/skillgrad \
    && /opt/skillgrad/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: -r /src/requirements.lock
# What nothing here reaches: the model library's server pages and its optional Rust half, the downloader of Hugging Face,
# and Amazon's services but for those that a call to Bedrock signs in with. tests/e2e/test_image.py asks every provider.
RUN cd /opt/skillgrad/lib/python3*/site-packages \
    && rm -rf litellm/proxy/_experimental/out litellm/proxy/swagger litellm/rust_bridge/_native.abi3.so hf_xet* \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d \
       ! -name sts ! -name sso ! -name sso-oidc ! -name signin ! -name 'bedrock*' -exec rm -rf {} +
# The program needs no build step: its source on the path, compiled as pip does it, and a command that starts it.
COPY skillgrad_ci /opt/skillgrad/app/skillgrad_ci
COPY prompts /opt/skillgrad/app/prompts
RUN echo /opt/skillgrad/app > "$(/opt/skillgrad/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/app.pth" \
    && printf '#!/opt/skillgrad/bin/python\nfrom skillgrad_ci.__main__ import entry_point\nentry_point()\n' \
       > /opt/skillgrad/bin/skillgrad-ci \
    && chmod 755 /opt/skillgrad/bin/skillgrad-ci \
    && /opt/skillgrad/bin/python -m compileall -q /opt/skillgrad/app \
    && /opt/skillgrad/bin/pip uninstall --quiet --yes pip

FROM ${BASE_IMAGE}
ARG WITH_LIBREOFFICE=1
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="SkillGrad CI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# docker-cli opens a container for each task; commands chosen by a model never run in this one.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates docker-cli \
    && if [ "$WITH_LIBREOFFICE" = 1 ]; then \
         DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libreoffice-calc-nogui python3-uno; \
       fi \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build /opt/skillgrad /opt/skillgrad
ENV PATH="/opt/skillgrad/bin:/usr/local/bin:/usr/bin:/bin" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
ENTRYPOINT ["/opt/skillgrad/bin/skillgrad-ci", "action"]
