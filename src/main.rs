/// Gives freed memory back to the kernel by a thread of its own, whoever freed it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    statsd_relay::cli::main()
}
