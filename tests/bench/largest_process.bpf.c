// SPDX-License-Identifier: GPL-2.0
/* kill largest process in subtree */
#include "largest_process.h"

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	if (oc->order == ORDER_SYSRQ)
		return 0;
	return kill_largest_process(oc, "largest process");
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "largest_process",
};
