// SPDX-License-Identifier: GPL-2.0
/*
 * The headline policy, written by hand in C:
 *
 *     if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree
 *
 * `cargo xtask bench` compares it with what oomc makes of that line: how long the compilers run, how many
 * instructions come out, how much work the kernel's verifier has with them. So it means the same, clause by
 * clause: SysRq is left alone; usage and limit are those of the language (the root has no counter of its
 * own; the limit is the smallest up to the root, at most the machine's memory); the limit rises within what
 * the ancestors carry and by at least one hundredth; nobody is killed while a victim is on its way out;
 * init, kernel threads, processes with oom_score_adj -1000 and dying processes are no candidates; equal
 * footprints are decided by start time, then by pid; a candidate that the kernel refuses is followed by the
 * next one.
 *
 * It keeps numbers that live across rounds of a loop in a global, as lowering does and for the same reason:
 * with them in registers the verifier gives up.
 *
 * vmlinux.h is made from the kernel's BTF by bpftool.
 */
#include "vmlinux.h"

#define SEC(name) __attribute__((section(name), used))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))

#define PAGE_SHIFT		12
#define PAGE_COUNTER_MAX	(0x7fffffffffffffffL >> PAGE_SHIFT)
#define OOM_SCORE_ADJ_MIN	(-1000)
#define PF_EXITING		0x00000004
#define PF_KTHREAD		0x00200000
#define SIGNAL_GROUP_EXIT	0x00000004
#define MMF_OOM_SKIP		21
#define CSS_TASK_ITER_PROCS	1
#define ALL_THREADS		1
#define ESRCH			3
#define ORDER_SYSRQ		(-1)
#define MAX_TRIES		32

#define enum_value(type, name) __builtin_preserve_enum_value(*(typeof(enum type) *)name, 1)

static long (*const bpf_probe_read_kernel)(void *dst, __u32 size, const void *from) = (void *)113;

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags) __ksym;
struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css,
			  unsigned int flags) __ksym;
struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it) __ksym;
void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it) __ksym;
int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable,
		      unsigned int flags) __ksym;
struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
void *bpf_rdonly_cast(const void *obj__ign, __u32 btf_id__k) __ksym;
struct mem_cgroup *bpf_get_root_mem_cgroup(void) __ksym;
struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym;
void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx) __ksym;
void bpf_mem_cgroup_flush_stats(struct mem_cgroup *memcg) __ksym;
int bpf_oom_kill_process(struct oom_control *oc, struct task_struct *task, const char *message__str) __ksym;
int bpf_mem_cgroup_raise_max(struct oom_control *oc, struct mem_cgroup *memcg,
			     unsigned long new_max_bytes) __ksym;

extern const void _totalram_pages __ksym __weak;

char LICENSE[] SEC("license") = "GPL";

struct {
	__u64 invocations, kills, raises, waits, deferred;
} stats SEC(".bss.stats");

struct keys {
	__s64 there;		/* 0: the footprint is missing, which sorts last */
	__s64 footprint;
	__s64 start;
	__s64 pid;
};

struct {
	__s64 total_memory;	/* bytes, 0 when unknown */
	__s64 smallest;		/* pages */
	__s64 room;		/* pages */
	__s64 judged;		/* the process whose memory's users were looked at last */
	__s64 sharer;
	__s64 tried;		/* there is a ceiling */
	__s64 killed;
	struct keys candidate, best, ceiling;
} scratch SEC(".bss.scratch");

const char kill_message[] SEC(".rodata") = "oomc headline, rule \"line 1\"";
const char wait_message[] SEC(".rodata") = "oomc headline, rule \"line 1\": a victim is on its way out";

#define inline inline __attribute__((always_inline))

static inline struct mem_cgroup *cast_memcg(struct cgroup_subsys_state *css)
{
	return bpf_rdonly_cast(css, __builtin_btf_type_id(*(struct mem_cgroup *)0, 1));
}

static inline __s64 saturating_add(__s64 a, __s64 b)
{
	__s64 sum = (__u64)a + (__u64)b;

	return sum < a ? 0x7fffffffffffffffL : sum;	/* b is not negative */
}

static inline void read_total_memory(void)
{
	scratch.total_memory = 0;
	if (&_totalram_pages)
		bpf_probe_read_kernel(&scratch.total_memory, 8, &_totalram_pages);
	scratch.total_memory <<= PAGE_SHIFT;
}

/* -1 when a statistic is missing */
static inline __s64 usage_of(struct mem_cgroup *memcg)
{
	__s64 anon, file;

	if (memcg->css.parent)
		return memcg->memory.usage.counter << PAGE_SHIFT;
	bpf_mem_cgroup_flush_stats(memcg);
	anon = bpf_mem_cgroup_page_state(memcg, enum_value(node_stat_item, NR_ANON_MAPPED));
	if (anon == -1)
		return -1;
	file = bpf_mem_cgroup_page_state(memcg, enum_value(node_stat_item, NR_FILE_PAGES));
	if (file == -1)
		return -1;
	return anon + file;
}

/* -1 when there is no limit and the machine's memory is unknown */
static inline __s64 limit_of(struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;
	__s64 pages, limit;

	scratch.smallest = PAGE_COUNTER_MAX;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &memcg->css, enum_value(bpf_cgroup_iter_order, BPF_CGROUP_ITER_ANCESTORS_UP));
	while ((css = bpf_iter_css_next(&it))) {
		__u64 max = cast_memcg(css)->memory.max;

		if (max < (__u64)scratch.smallest)
			scratch.smallest = max;
	}
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	pages = scratch.smallest;
	limit = pages << PAGE_SHIFT;
	if (scratch.total_memory)
		return limit < scratch.total_memory ? limit : scratch.total_memory;
	return pages >= PAGE_COUNTER_MAX ? -1 : limit;
}

static inline bool raise_limit(struct oom_control *oc, struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;
	__s64 own, by, wanted, carried;
	__u64 pages;

	if (!oc->memcg)
		return false;
	pages = memcg->memory.max;
	if (pages >= PAGE_COUNTER_MAX)
		return false;
	own = pages << PAGE_SHIFT;
	by = (__u64)own / 10;
	if (by <= 0)
		return false;
	wanted = saturating_add(own, by);

	/* At an ancestor's limit the next OOM would be the ancestor's. */
	scratch.room = PAGE_COUNTER_MAX;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &memcg->css, enum_value(bpf_cgroup_iter_order, BPF_CGROUP_ITER_ANCESTORS_UP));
	while ((css = bpf_iter_css_next(&it))) {
		struct mem_cgroup *above;
		__s64 left;
		__u64 max;

		if (css->serial_nr == memcg->css.serial_nr)
			continue;
		above = cast_memcg(css);
		max = above->memory.max;
		if (max >= PAGE_COUNTER_MAX)
			continue;
		left = max - above->memory.usage.counter;
		if (left < 0)
			left = 0;
		if (left < scratch.room)
			scratch.room = left;
	}
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	carried = saturating_add(own, scratch.room << PAGE_SHIFT);
	if (carried < wanted)
		wanted = carried;
	if (scratch.total_memory && scratch.total_memory < wanted)
		wanted = scratch.total_memory;
	wanted &= -(1L << PAGE_SHIFT);
	if (wanted <= own || wanted - own < (__s64)((__u64)(own + 99) / 100))
		return false;
	if (bpf_mem_cgroup_raise_max(oc, memcg, wanted))
		return false;
	stats.raises++;
	return true;
}

/* __task_will_free_mem(): killed or exiting with all its threads, and not dumping core */
static inline bool exiting_as_a_whole(struct task_struct *thread)
{
	struct signal_struct *signal = thread->signal;

	if (signal->core_state)
		return false;
	if (signal->flags & SIGNAL_GROUP_EXIT)
		return true;
	return signal->nr_threads == 1 && thread->flags & PF_EXITING;
}

/* An OOM killer chose it, and its memory is not yet taken */
static inline bool chosen_and_not_reaped(struct task_struct *thread)
{
	struct mm_struct *mm = thread->signal->oom_mm;

	return mm && !(mm->flags & (1UL << MMF_OOM_SKIP));
}

static inline bool is_in_flight(struct task_struct *thread)
{
	struct mm_struct *mm = thread->mm;
	struct task_struct *other;
	struct bpf_iter_task it;
	__s64 pid;

	/* exit_mm() takes the memory from the task before it frees it. */
	if (!mm)
		return chosen_and_not_reaped(thread);
	if (!exiting_as_a_whole(thread))
		return false;
	if (mm->flags & (1UL << MMF_OOM_SKIP))
		return false;
	if (mm->mm_users.counter <= 1)
		return true;
	/* One look at all threads of the machine per process, not per thread. */
	pid = thread->tgid;
	if (pid == scratch.judged)
		return false;
	scratch.judged = pid;
	scratch.sharer = 0;
	bpf_iter_task_new(&it, 0, ALL_THREADS);
	while ((other = bpf_iter_task_next(&it))) {
		if (other->mm != mm || other->tgid == pid || exiting_as_a_whole(other))
			continue;
		scratch.sharer = 1;
		break;
	}
	bpf_iter_task_destroy(&it);
	return !scratch.sharer;
}

enum { NOBODY, WAITING, GIVE_UP };

static inline int wait_for_victim(struct oom_control *oc, struct mem_cgroup *domain)
{
	struct task_struct *thread, *victim = 0;
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;
	bool still_there;
	int result;

	scratch.judged = 0;
	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &domain->css,
			 enum_value(bpf_cgroup_iter_order, BPF_CGROUP_ITER_DESCENDANTS_PRE));
	while ((css = bpf_iter_css_next(&it))) {
		struct mem_cgroup *memcg = bpf_get_mem_cgroup(css);
		struct bpf_iter_css_task tasks;

		if (!memcg)
			continue;
		/* Threads, not leaders: a leader disappears once all its threads are exiting. */
		bpf_iter_css_task_new(&tasks, &memcg->css, 0);
		while ((thread = bpf_iter_css_task_next(&tasks))) {
			if (!is_in_flight(thread))
				continue;
			victim = bpf_task_acquire(thread);
			if (victim)
				break;
		}
		bpf_iter_css_task_destroy(&tasks);
		bpf_put_mem_cgroup(memcg);
		if (victim)
			break;
	}
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	if (!victim)
		return NOBODY;
	result = bpf_oom_kill_process(oc, victim, wait_message);
	still_there = victim->mm || chosen_and_not_reaped(victim);
	bpf_task_release(victim);
	if (!result) {
		stats.waits++;
		return WAITING;
	}
	return result == -ESRCH && still_there ? GIVE_UP : NOBODY;
}

static inline bool is_candidate(struct task_struct *task)
{
	struct signal_struct *signal = task->signal;

	if (task->tgid == 1 || task->flags & PF_KTHREAD || signal->oom_score_adj == OOM_SCORE_ADJ_MIN)
		return false;
	if (signal->oom_mm || signal->flags & SIGNAL_GROUP_EXIT)
		return false;
	/* A leader that exits alone is not the process: other threads may go on. */
	return !(task->flags & PF_EXITING && !signal->live.counter);
}

static inline __s64 counter(__s64 value)
{
	return value < 0 ? 0 : value;
}

static inline void keys_of(struct task_struct *task, struct keys *keys)
{
	struct mm_struct *mm = task->mm;

	keys->there = 1;
	keys->footprint = 0;
	if (mm) {
		keys->footprint = counter(mm->rss_stat[MM_FILEPAGES].count) +
				  counter(mm->rss_stat[MM_ANONPAGES].count) +
				  counter(mm->rss_stat[MM_SHMEMPAGES].count) +
				  counter(mm->rss_stat[MM_SWAPENTS].count);
		keys->footprint <<= PAGE_SHIFT;
		keys->footprint += counter(mm->pgtables_bytes.counter);
	} else if (task->signal->live.counter > 0) {
		keys->there = 0;
	}
	keys->start = task->start_boottime;
	keys->pid = task->tgid;
}

static inline bool is_above(const struct keys *a, const struct keys *b)
{
	if (a->there != b->there)
		return a->there > b->there;
	if (a->footprint != b->footprint)
		return a->footprint > b->footprint;
	if (a->start != b->start)
		return a->start > b->start;
	return a->pid > b->pid;
}

/* The largest process below the ceiling, referenced */
static inline struct task_struct *select_victim(struct mem_cgroup *domain)
{
	struct task_struct *task, *best = 0;
	struct cgroup_subsys_state *css;
	struct bpf_iter_css it;

	bpf_rcu_read_lock();
	bpf_iter_css_new(&it, &domain->css,
			 enum_value(bpf_cgroup_iter_order, BPF_CGROUP_ITER_DESCENDANTS_POST));
	while ((css = bpf_iter_css_next(&it))) {
		struct mem_cgroup *memcg = bpf_get_mem_cgroup(css);
		struct bpf_iter_css_task tasks;

		if (!memcg)
			continue;
		bpf_iter_css_task_new(&tasks, &memcg->css, CSS_TASK_ITER_PROCS);
		while ((task = bpf_iter_css_task_next(&tasks))) {
			struct task_struct *acquired;

			if (!is_candidate(task))
				continue;
			keys_of(task, &scratch.candidate);
			if (scratch.tried && !is_above(&scratch.ceiling, &scratch.candidate))
				continue;
			if (best && !is_above(&scratch.candidate, &scratch.best))
				continue;
			acquired = bpf_task_acquire(task);
			if (!acquired)
				continue;
			scratch.best = scratch.candidate;
			if (best)
				bpf_task_release(best);
			best = acquired;
		}
		bpf_iter_css_task_destroy(&tasks);
		bpf_put_mem_cgroup(memcg);
	}
	bpf_iter_css_destroy(&it);
	bpf_rcu_read_unlock();
	return best;
}

static inline bool kill_largest(struct oom_control *oc, struct mem_cgroup *domain)
{
	struct bpf_iter_num it;

	scratch.tried = 0;
	scratch.killed = 0;
	bpf_iter_num_new(&it, 0, MAX_TRIES);
	while (bpf_iter_num_next(&it)) {
		struct task_struct *victim = select_victim(domain);

		if (!victim)
			break;
		if (!bpf_oom_kill_process(oc, victim, kill_message)) {
			scratch.killed = 1;
			stats.kills++;
		}
		bpf_task_release(victim);
		if (scratch.killed)
			break;
		scratch.ceiling = scratch.best;
		scratch.tried = 1;
	}
	bpf_iter_num_destroy(&it);
	return scratch.killed;
}

static inline bool decide(struct oom_control *oc, struct mem_cgroup *domain)
{
	__s64 usage, limit, most;

	read_total_memory();
	usage = usage_of(domain);
	limit = limit_of(domain);
	most = (__u64)limit / 10 * 9 + (__u64)limit % 10 * 9 / 10;
	if (usage != -1 && limit != -1 && usage > most && raise_limit(oc, domain))
		return true;
	switch (wait_for_victim(oc, domain)) {
	case WAITING:
		return true;
	case GIVE_UP:
		return false;
	}
	return kill_largest(oc, domain);
}

SEC("struct_ops.s/handle_out_of_memory")
int handle_out_of_memory(unsigned long long *ctx)
{
	struct oom_control *oc = (void *)ctx[0];
	struct mem_cgroup *memcg, *domain;
	bool progress;

	if (oc->order == ORDER_SYSRQ)
		return 0;
	stats.invocations++;
	memcg = oc->memcg;
	domain = memcg ? bpf_get_mem_cgroup(&memcg->css) : bpf_get_root_mem_cgroup();
	if (!domain)
		return 0;
	progress = decide(oc, domain);
	if (!progress)
		stats.deferred++;
	bpf_put_mem_cgroup(domain);
	return progress;
}

SEC(".struct_ops.link")
struct bpf_oom_ops oom_policy = {
	.handle_out_of_memory = (void *)handle_out_of_memory,
	.name = "headline in C",
};
