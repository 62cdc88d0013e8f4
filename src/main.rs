fn main() -> std::process::ExitCode {
    statsd_relay::cli::main()
}
