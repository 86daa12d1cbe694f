# The machine has booted with both units enabled.

attached() { says "$2@" oomc status --cgroup "/system.slice/$1.service"; }

hook "oomc-policies.service has done its work" is oomc-policies.service Result success
hook "and counts as active" is oomc-policies.service ActiveState active
stock "oomc-policies.service says what the kernel lacks" says "bpf_oom_ops" journalctl -q -b -u oomc-policies.service
step "oomc.service runs" within 30 is oomc.service ActiveState active
step "it is confined: a filter of system calls" grep -q 'Seccomp:[[:space:]]*2' "/proc/$(systemctl show --value -p MainPID oomc.service)/status"
step "and no way to more privilege" grep -q 'NoNewPrivs:[[:space:]]*1' "/proc/$(systemctl show --value -p MainPID oomc.service)/status"
step "the policy is attached to the service that boot has started" within 20 attached web web

step "it decides" kill_in web
hook "the kernel asked it" asked web
step "the decision is in the journal, with its fields" within 10 entries 1 OOMC_EVENT=decision OOMC_CGROUP=/system.slice/web.service OOMC_VICTIM_NAME=tail OOMC_RULE=grown PRIORITY=4 SYSLOG_IDENTIFIER=oomc
step "and what became of it" within 10 entries 1 OOMC_EVENT=outcome OOMC_RECORD=1
step "whose record is JSON" says '"victim":{' journalctl -q -b OOMC_EVENT=decision -o cat --output-fields=OOMC_DECISION

step "the service is started again" systemctl restart web.service
step "its cgroup has the policy again" within 20 attached web web
step "which decides" kill_in web
step "and is told of" within 10 entries 2 OOMC_EVENT=decision OOMC_VICTIM_NAME=tail

step "the service is stopped" systemctl stop web.service
step "the policy is gone with it" within 10 not test -e /sys/fs/cgroup/system.slice/web.service
step "what it decided is still told" says "killed tail" oomc why --cgroup /system.slice/web.service
step "and started" systemctl start web.service
step "its cgroup has the policy again, the second time" within 20 attached web web
step "which decides, too" kill_in web
step "and is told of, too" within 10 entries 3 OOMC_EVENT=decision OOMC_VICTIM_NAME=tail

first=$(systemctl show --value -p MainPID oomc.service)
step "oomc's service is killed" kill -9 "$first"
step "systemd starts it again" within 20 is oomc.service NRestarts 1
step "it runs" within 20 is oomc.service ActiveState active
step "a decision" kill_in web
step "is told, and none twice" within 10 entries 4 OOMC_EVENT=decision OOMC_VICTIM_NAME=tail

cp /etc/systemd/system/web.service /etc/systemd/system/second.service
sed s/web/second/ /etc/oomc/policies.d/web.toml > /etc/oomc/policies.d/second.toml
cp /etc/oomc/policies.d/web.oom /etc/oomc/policies.d/second.oom
sed -i 's/^policy "web"/policy "second"/' /etc/oomc/policies.d/second.oom
step "systemd reads units anew" systemctl daemon-reload
step "the policy before is still attached" attached web web
step "another service is started" systemctl start second.service
step "and has the policy of a new file" within 20 attached second second
step "which decides there" kill_in second
step "and says so" within 10 entries 1 OOMC_EVENT=decision OOMC_CGROUP=/system.slice/second.service
step "reload of oomc.service" systemctl reload oomc.service
hook "reload of oomc-policies.service" systemctl reload oomc-policies.service
rm /etc/oomc/policies.d/second.*
step "a file goes, and its policy" within 20 not attached second second

second=$(systemctl show --value -p MainPID oomc.service)
sleep 45
step "the watchdog is content" is oomc.service MainPID "$second"
step "nothing failed" is oomc.service Result success

step "stop" systemctl stop oomc.service
step "which is clean" is oomc.service Result success
step "with exit code 0" is oomc.service ExecMainStatus 0
hook "the policy stays attached" attached web web
hook "and decides" kill_in web
stock "the service's memory.high is what it was" grep -qx max /sys/fs/cgroup/system.slice/web.service/memory.high
step "start" systemctl start oomc.service
hook "tells what was decided meanwhile" within 10 entries 5 OOMC_EVENT=decision OOMC_CGROUP=/system.slice/web.service

third=$(systemctl show --value -p MainPID oomc.service)
step "the package is installed anew" dpkg -i /steps/oomc.deb
step "its service runs" within 20 is oomc.service ActiveState active
step "as the new program" not is oomc.service MainPID "$third"
step "the policy is there" attached web web

hook "the package goes, and says what stays" says "policies stay attached" dpkg --purge oomc
stock "the package goes" dpkg --purge oomc
step "and its service" is oomc.service ActiveState inactive
step "and its program" not test -e /usr/bin/oomc
step "not the machine's files" test -e /etc/oomc/policies.d/web.oom
hook "what it says detaches" rm -r /sys/fs/bpf/oomc

step "the kernel warns of nothing" not warned
