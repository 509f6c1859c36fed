# The libraries are a layer of their own, which a change of the emulator leaves as it is.
FROM python:3.13-slim AS libraries
ARG EXTRAS="fetch import metrics otel record redis"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_NO_COMPILE=1
RUN python -m venv /opt/build && python -m venv --without-pip /opt/emulator
COPY pyproject.toml deploy/image/requirements.py /build/
RUN python /build/requirements.py $EXTRAS >/build/requirements.txt \
    && /opt/build/bin/pip --python /opt/emulator/bin/python install -r /build/requirements.txt \
    # Valid whatever becomes of the files' times, as in an image that is built reproducibly.
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/emulator

FROM libraries AS emulator
COPY pyproject.toml README.md LICENSE /build/
COPY emulator /build/emulator
RUN /opt/build/bin/pip --python /opt/emulator/bin/python install --no-deps --prefix /opt/package /build \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/package

FROM python:3.13-slim
LABEL org.opencontainers.image.title="openai-images-emulator" \
      org.opencontainers.image.description="A local server that a test cannot tell from the OpenAI Images API" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"
# Nothing is installed in a container.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/ensurepip /usr/local/lib/python3.*/site-packages/pip*
COPY --from=libraries /opt/emulator /opt/emulator
COPY --from=emulator /opt/package /opt/emulator
COPY --chmod=755 deploy/image/images-emulator /usr/local/bin/images-emulator
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    IMAGES_EMULATOR_HOST=0.0.0.0
# A settings file, scenarios and pictures are found here by their names.
WORKDIR /srv
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --start-period=10s --start-interval=1s CMD ["images-emulator", "healthcheck"]
ENTRYPOINT ["images-emulator"]
CMD ["serve"]
