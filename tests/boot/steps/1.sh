# The package comes onto a running machine.

step "dpkg installs the package" dpkg -i /steps/oomc.deb
step "it enables no service" not systemctl is-enabled oomc.service
step "it starts no service" not systemctl is-active oomc.service
hook "the machine can run policies" says "policies can be loaded here" oomc doctor
step "the policy is right" oomc check /etc/oomc/policies.d/web.oom
step "the service's memory is limited" within 20 is web.service ActiveState active
step "systemd is told of both units" systemctl enable oomc-policies.service oomc.service
