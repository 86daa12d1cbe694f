// SPDX-License-Identifier: GPL-2.0
/*
 * Ends an event that another policy was only asked about: raises the limit of the cgroup by a mebibyte. `cargo xtask bench
 * code` attaches it above the policy that is counted.
 */
#include "policy.h"

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	struct mem_cgroup *root = oom_root(oc);
	int err;

	if (!root)
		return 0;
	err = bpf_mem_cgroup_raise_max(oc, root, root->memory.max * PAGE_SIZE + (1 << 20));
	bpf_put_mem_cgroup(root);
	return !err;
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "relief",
};
