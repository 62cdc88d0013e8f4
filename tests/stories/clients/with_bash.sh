# No client at all, with numbers that the story knows. Arguments: a UDP and a TCP port.
for _ in {1..10}; do echo -n 'bash.hits:1|c' >"/dev/udp/127.0.0.1/$1"; done
printf 'bash.load:7|g\nbash.request:250|ms\n' >"/dev/udp/127.0.0.1/$1"
exec 3>"/dev/tcp/127.0.0.1/$2"
for _ in {1..10}; do echo 'bash.hits:1|c|#way:tcp' >&3; done
printf 'bash.users:ann|s\nbash.users:bob|s' >&3
