# Two commands: `make demo` runs the main job, `make test` installs what tests need and passes them.
.PHONY: demo test lint otel image bench bench-photos bench-hostile simulate fuzz deny need need-tests need-unpacked features clean

CARGO ?= cargo

demo: need
	$(CARGO) build --release --locked --bin lazaret --example fixtures
	./demo/run

# These wait for servers, leases and second tries more than they work, so more of them run at once. The others measure what they run.
WAITING = cli desk rabbit
WORKING = $(filter-out $(WAITING),$(notdir $(basename $(wildcard tests/*.rs */tests/*.rs))))
test: need need-tests need-unpacked lint
	$(CARGO) test --locked --no-run
	$(CARGO) test --locked --doc
	$(CARGO) test --locked --lib --bins $(WORKING:%=--test %)
	RUST_TEST_THREADS=$$((2 * $$(nproc))) $(CARGO) test --locked $(WAITING:%=--test %)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# Traces, the feature `otel`: linted, and tested with collectors and a private RabbitMQ. A build of its own, beside the usual one, which does without.
otel: need need-tests
	$(CARGO) clippy --locked -p lazaret --all-targets --features otel -- -D warnings
	$(CARGO) test --locked -p lazaret --features otel --lib --test cli --test rabbit traces

# Each single provider of buckets, and none, with nothing else that is optional: compiles without a warning, and refuses the others by name.
# Builds of their own, of minutes.
features: need
	for provider in '' s3 gs azure; do \
	    $(CARGO) clippy --locked -p lazaret --no-default-features --features "$$provider" -- -D warnings -A clippy::all || exit 1; done
	$(CARGO) test --locked -p lazaret --no-default-features --features s3 --lib config::buckets

# spawn: from spawn to READY. tax: what the sandbox costs beside the same code in this process. hostile: every fixture against its ceilings.
# Then, with a private RabbitMQ, good jobs among hostile ones, repeats of what is quarantined, and more slots and larger photos. The fleet's
# other scenarios are run by name: `cargo bench --bench fleet` lists them.
bench: need need-tests
	$(CARGO) bench --locked --bench spawn --bench tax --bench hostile --bench fleet --no-run
	$(CARGO) bench --locked --bench spawn
	$(CARGO) bench --locked --bench tax
	$(CARGO) bench --locked --bench hostile
	for scenario in goodput repeats scale; do $(CARGO) bench --locked --bench fleet -- $$scenario || exit 1; done

# Photos beside sharp, libvips, ImageMagick, Pillow and oximg, which it fetches: DIR=folder of JPEGs, ROUNDS, WITH="--cases abc …".
bench-photos: need
	@{ command -v vipsthumbnail && command -v convert-im6 && command -v npm && python3 -c 'import venv, ensurepip'; } >/dev/null 2>&1 || { \
	    command -v apt-get >/dev/null && { sudo=$$(command -v sudo || true); $$sudo apt-get update && $$sudo apt-get install -y --no-install-recommends \
	        libvips-tools imagemagick python3-venv $$(command -v npm >/dev/null || echo nodejs npm); }; }
	$(CARGO) bench --locked --bench photos --no-run
	benches/photos/compare.py $(if $(DIR),--photos '$(DIR)') --rounds $(or $(ROUNDS),3) $(WITH)

# Every fixture: verdict and cost against the manifest, then beside ImageMagick, libvips, sharp and Pillow, as bench-photos installed them.
bench-hostile: need
	$(CARGO) bench --locked --bench hostile
	benches/hostile/peers.py $(if $(PATIENCE),--patience $(PATIENCE)) $(WITH)

# Every state of the ledger's protocol in small fleets, and thousands of random runs beside the real ledger.
simulate: need
	LAZARET_SIMULATION=long $(CARGO) test --locked --test simulation -- --nocapture

# Untrusted bytes for every reader, by libFuzzer, which is C++: MINUTES for all targets together, TARGETS="job packet …" for some of them.
fuzz: need
	@command -v c++ >/dev/null || { sudo=$$(command -v sudo || true); $$sudo apt-get update && $$sudo apt-get install -y --no-install-recommends g++; }
	fuzz/run $(or $(MINUTES),30) $(TARGETS)

# The image, built and run as it is meant to be, without Docker and without a registry; as root. `WITH=run` runs what is there, `clean` drops it.
image:
	deploy/image/try $(WITH)

# What came in with a dependency: licences, banned crates, sources. Installs cargo-deny where it is missing.
deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked
	$(CARGO) deny check licenses bans sources

# A C compiler builds SQLite and libwebp, with cmake and nasm libjpeg-turbo, and on x86-64 nasm the assembler of AVIF; setpriv, unshare and
# kill try the sandbox as other users and end workers. Debian and Ubuntu; elsewhere these are to be installed by hand, or
# `--no-default-features --features svg,jxl,avif` builds with neither cmake nor nasm.
NEEDED = cc cmake nasm setpriv unshare
need:
	@missing() { \
	    for tool in $(NEEDED); do command -v $$tool >/dev/null || printf ' %s' $$tool; done; \
	    [ -x /bin/kill ] || [ -x /usr/bin/kill ] || printf ' kill'; }; \
	[ -z "$$(missing)" ] || { command -v apt-get >/dev/null && { sudo=$$(command -v sudo || true); $$sudo apt-get update && \
	    $$sudo apt-get install -y --no-install-recommends gcc libc6-dev cmake nasm util-linux procps; }; }; \
	[ -z "$$(missing)" ] || { echo "lazaret: missing on this machine:$$(missing)"; exit 1; }
	@command -v $(CARGO) >/dev/null || { echo "lazaret: cargo is missing; install Rust 1.94 or later, see https://rustup.rs"; exit 1; }

# Tests start servers of their own, RabbitMQ and PostgreSQL, with certificates made by openssl, and have systemd-analyze read the unit. The packages would start some too, at the usual
# ports and at every boot: a policy for the time of the installation forbids that, and PostgreSQL's package makes no cluster. A host that has a
# policy of its own keeps it. Debian and Ubuntu.
POSTGRES = $(wildcard /usr/lib/postgresql/*/bin/initdb)
need-tests:
	@{ [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && [ -n "$(POSTGRES)" ] && command -v openssl && command -v setsid && command -v ps && \
	   python3 -c 'import venv, ensurepip' 2>&1 && command -v node && command -v npm && command -v chromium && command -v systemd-analyze; } >/dev/null || { \
	    sudo=$$(command -v sudo || true); policy=/usr/sbin/policy-rc.d; \
	    if [ ! -e $$policy ]; then \
	        trap '$$sudo rm -f $$policy' EXIT; trap 'exit 1' INT TERM; \
	        printf '#!/bin/sh\nexit 101\n' | $$sudo tee $$policy >/dev/null && $$sudo chmod 755 $$policy; \
	    fi; \
	    had=$$(command -v rabbitmqctl || true); clusters=/etc/postgresql-common/createcluster.conf; \
	    install="$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"; \
	    $$sudo apt-get update && $$install postgresql-common && \
	    { [ -n "$(POSTGRES)" ] || $$sudo sed -i.before 's/^#\? *create_main_cluster.*/create_main_cluster = false/' $$clusters; } && \
	    $$install rabbitmq-server postgresql openssl chromium fonts-dejavu-core systemd util-linux procps \
	        python3 python3-venv $$(command -v npm >/dev/null || echo nodejs npm) && \
	    { [ ! -e $$clusters.before ] || $$sudo mv $$clusters.before $$clusters; } && \
	    { [ -n "$$had" ] || [ ! -d /run/systemd/system ] || $$sudo systemctl disable rabbitmq-server; }; }

# Odd images that others collected, and Prometheus, which reads what deploy/ has for it: unpacked, not installed. Debian and Ubuntu.
UNPACKED = gdk-pixbuf-tests prometheus
need-unpacked:
	@for package in $(UNPACKED); do [ -d target/$$package/usr ] || { rm -rf target/$$package && mkdir -p target/$$package && cd target/$$package && \
	    { apt-get download -q $$package || { $$(command -v sudo || true) apt-get update && apt-get download -q $$package; }; } && \
	    dpkg-deb -x $${package}_*.deb . && rm $${package}_*.deb && cd ../..; } || exit 1; done

clean:
	$(CARGO) clean
	rm -rf demo-state
