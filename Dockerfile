FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY emulator emulator
RUN python -m venv /opt/emulator && /opt/emulator/bin/pip install --no-cache-dir '.[fetch]'

FROM python:3.13-slim
LABEL org.opencontainers.image.title="openai-images-emulator" \
      org.opencontainers.image.description="A local server that a test cannot tell from the OpenAI Images API" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/emulator /opt/emulator
ENV PATH=/opt/emulator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    IMAGES_EMULATOR_HOST=0.0.0.0 \
    IMAGES_EMULATOR_PORT=8080
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=5s --start-period=10s --start-interval=1s CMD ["images-emulator", "healthcheck"]
ENTRYPOINT ["images-emulator"]
CMD ["serve"]
