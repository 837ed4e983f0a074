# syntax=docker/dockerfile:1
# Lazaret as an image: the program, the libraries that it is linked to, certificates, and nothing else. No shell, no package manager.
#
#   docker build -t lazaret .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 40 --volume lazaret:/var/lib/lazaret lazaret
#
# `make image` builds and runs it where there is neither Docker nor a registry. For releases, pin both bases by digest too.
ARG RUST=1.95.0
ARG DEBIAN=12.12

FROM rust:${RUST}-slim-bookworm AS build
# libjpeg-turbo is built by cmake and nasm; nasm builds the assembler of AVIF too.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make cmake nasm \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# What is fetched and what is compiled stays in caches beside the layers: after a change, only what depends on it is built again.
RUN --mount=type=cache,id=lazaret-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=lazaret-target,target=/src/target \
    cargo build --release --locked --bin lazaret \
    && install -D target/release/lazaret /out/lazaret

# What the image is made of, laid out as it will be.
FROM debian:${DEBIAN}-slim AS parts
# Named, so that they are brought up to date as well.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libc6 libgcc-s1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/lazaret /image/usr/bin/lazaret
COPY deploy/image/lazaret.toml /image/etc/lazaret/lazaret.toml
COPY LICENSE-APACHE LICENSE-MIT assets/fonts/LICENSE /image/usr/share/doc/lazaret/
COPY deploy/image/lay-out /usr/local/bin/lay-out
RUN sh /usr/local/bin/lay-out /image

FROM scratch AS unproven
COPY --from=parts /image /
ENV LAZARET_CONFIG=/etc/lazaret/lazaret.toml
USER 65534:65534
WORKDIR /var/lib/lazaret
VOLUME /var/lib/lazaret
# Answered from the worker's memory, by a thread of its own: disk, broker and ledger may hang.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["/usr/bin/lazaret", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/lazaret"]
CMD ["serve"]

# The proof, with the libraries and as the user of those who will run it. Builders that allow no seccomp in their steps (emulation, gVisor)
# take `--target unproven`: `serve` proves the same again before it takes a job.
FROM unproven AS proof
RUN ["/usr/bin/lazaret", "doctor", "--state", "/tmp/doctor"]

FROM unproven
# The same file, from there: without a proof, no image.
COPY --from=proof /etc/os-release /etc/os-release
