# The image, as the book runs it, on a machine without the package.

attached() { podman exec oomc /usr/bin/oomc status --cgroup /system.slice/web.service | grep -q 'web@'; }

step "the package is gone" not test -e /usr/bin/oomc
step "the recipe makes an image" podman build -t oomc -f /steps/image/Containerfile /steps/image
step "it starts" podman run -d --name oomc --privileged --network=none --pid=host --cgroupns=host -v /sys/fs/bpf:/sys/fs/bpf -v /etc/oomc/policies.d:/etc/oomc/policies.d:ro oomc
step "the policy is attached" within 40 attached
step "it decides" kill_in web
hook "the kernel asked it" asked web
step "the container tells" within 10 says "killed tail" podman logs oomc
step "the service is started again" systemctl restart web.service
step "its cgroup has the policy again" within 20 attached
step "which decides" kill_in web
step "the container is stopped" podman stop oomc
step "with exit code 0" says 0 podman inspect --format '{{.State.ExitCode}}' oomc
dmesg --clear
hook "the policy stays" kill_in web
hook "and decided" asked web
step "another container takes its place" podman start oomc
step "the policy is there" within 40 attached
step "the kernel warns of nothing" not warned
