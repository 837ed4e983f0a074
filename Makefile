# Two commands: `make demo` runs the main job, `make test` installs what tests need and passes them.
.PHONY: demo test lint bench deny need clean

CARGO ?= cargo

demo: need
	$(CARGO) build --release --locked --bin lazaret --example fixtures
	./demo/run

test: need lint
	$(CARGO) test --locked

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# spawn: from spawn to READY. tax: what the sandbox costs beside the same code in this process.
bench: need
	$(CARGO) bench --locked --bench spawn
	$(CARGO) bench --locked --bench tax

# What came in with a dependency: licences, banned crates, sources. Installs cargo-deny where it is missing.
deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked
	$(CARGO) deny check licenses bans sources

# A C compiler builds SQLite and libwebp; setpriv, unshare and kill try the sandbox as other users and end workers. Debian and Ubuntu.
need:
	@{ command -v cc && command -v setpriv && command -v unshare && { [ -x /bin/kill ] || [ -x /usr/bin/kill ]; }; } >/dev/null || \
	    { sudo=$$(command -v sudo || true); $$sudo apt-get update && \
	      $$sudo apt-get install -y --no-install-recommends gcc libc6-dev util-linux procps; }
	@command -v $(CARGO) >/dev/null || { echo "lazaret: cargo is missing; install Rust 1.94 or later, see https://rustup.rs"; exit 1; }

clean:
	$(CARGO) clean
	rm -rf demo-state
