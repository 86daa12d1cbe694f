// SPDX-License-Identifier: GPL-2.0
/* kill largest cgroup in leaves of cgroup by usage - file */
#include "policy.h"

#define number_of(memcg, usage)	((usage) - page_state(memcg, NR_FILE_PAGES))
#define spares(t)		false
#define wants(t)		true
#include "leaf.h"

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	if (oc->order == ORDER_SYSRQ)
		return 0;
	return kill_largest_leaf(oc, "largest leaf");
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "largest_leaf",
};
