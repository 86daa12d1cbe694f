/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the twins share.
 *
 * A twin means what the .oom beside it means, and is as fast as its author could make it: one walk; the number
 * first, and everything else only of a candidate that would win; no reference where nothing is walked or kept. Built with
 * LEAN it leaves out what the language promises beyond the choice: the look for victims in flight, and the order of
 * ties. Neither keeps a record.
 *
 * vmlinux.h is made from the kernel's BTF by bpftool.
 */
#pragma once
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#define PAGE_SHIFT		12
#define PAGE_SIZE		4096UL
#define PAGE_COUNTER_MAX	(0x7fffffffffffffffL >> PAGE_SHIFT)
#define CSS_TASK_ITER_PROCS	1
#define ALL_THREADS		1
#define OOM_SCORE_ADJ_MIN	(-1000)
#define SIGNAL_GROUP_EXIT	0x4
#define PF_EXITING		0x4
#define PF_KTHREAD		0x00200000
#define MMF_OOM_SKIP		21
#define ESRCH			3
#define ORDER_SYSRQ		(-1)
#define NOTHING			(-0x7fffffffffffffffL)

#ifdef LEAN
#define FULL			0
#else
#define FULL			1
#endif

#define unlikely(x)		__builtin_expect(!!(x), 0)

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags) __ksym;
struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css,
			  unsigned int flags) __ksym;
struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it) __ksym;
void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it) __ksym;
int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable, unsigned int flags) __ksym;
struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
void *bpf_rdonly_cast(const void *obj__ign, u32 btf_id__k) __ksym;
struct cgroup *bpf_cgroup_from_id(u64 cgid) __ksym;
void bpf_cgroup_release(struct cgroup *cgrp) __ksym;
struct mem_cgroup *bpf_get_root_mem_cgroup(void) __ksym;
struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css) __ksym;
void bpf_put_mem_cgroup(struct mem_cgroup *memcg) __ksym;
unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx) __ksym;
void bpf_mem_cgroup_flush_stats(struct mem_cgroup *memcg) __ksym;
int bpf_oom_kill_process(struct oom_control *oc, struct task_struct *task, const char *message__str) __ksym;
int bpf_mem_cgroup_raise_max(struct oom_control *oc, struct mem_cgroup *memcg,
			     unsigned long new_max_bytes) __ksym;

#ifndef bpf_for_each	/* as libbpf has it from 1.3 on */
#define bpf_for_each(type, cur, args...) for (							\
	struct bpf_iter_##type ___it __attribute__((aligned(8),					\
						    cleanup(bpf_iter_##type##_destroy))),	\
			       *___p __attribute__((unused)) = (				\
					bpf_iter_##type##_new(&___it, ##args),			\
					(void)bpf_iter_##type##_destroy, (void *)0);		\
	(((cur) = bpf_iter_##type##_next(&___it)));)
#endif

char LICENSE[] SEC("license") = "GPL";

/* The root of the OOM domain, with a reference */
static __always_inline struct mem_cgroup *oom_root(struct oom_control *oc)
{
	struct mem_cgroup *m = oc->memcg;

	return m ? bpf_get_mem_cgroup(&m->css) : bpf_get_root_mem_cgroup();
}

/* For members only: the css of a memcg is its first member */
static __always_inline struct mem_cgroup *memcg_of(struct cgroup_subsys_state *css)
{
	return bpf_rdonly_cast(css, bpf_core_type_id_kernel(struct mem_cgroup));
}

/* Pages; the root has no counter of its own, and is no candidate where this is asked */
static __always_inline long usage_of(struct cgroup_subsys_state *css)
{
	return memcg_of(css)->memory.usage.counter;
}

#define page_state(memcg, item) \
	((long)bpf_mem_cgroup_page_state(memcg, bpf_core_enum_value(enum node_stat_item, item)))
#define memcg_state(memcg, item) \
	((long)bpf_mem_cgroup_page_state(memcg, bpf_core_enum_value(enum memcg_stat_item, item)))

static __always_inline long unreclaimable_of(struct mem_cgroup *memcg)
{
	return page_state(memcg, NR_ANON_MAPPED) + page_state(memcg, NR_SHMEM) +
	       memcg_state(memcg, MEMCG_KMEM) - page_state(memcg, NR_SLAB_RECLAIMABLE_B);
}

static __always_inline bool unkillable(struct task_struct *t, struct signal_struct *signal)
{
	return signal->oom_score_adj == OOM_SCORE_ADJ_MIN || t->flags & PF_KTHREAD || t->tgid == 1;
}

/* In pages: what the kernel's own killer looks at, without oom_score_adj */
static __always_inline long rss(struct mm_struct *mm)
{
	return mm->rss_stat[MM_FILEPAGES].count + mm->rss_stat[MM_ANONPAGES].count +
	       mm->rss_stat[MM_SHMEMPAGES].count;
}

static __always_inline long footprint(struct task_struct *t)
{
	struct mm_struct *mm = t->mm;

	if (unlikely(!mm))
		return -1;	/* missing: after everybody who has a size */
	return rss(mm) + mm->rss_stat[MM_SWAPENTS].count + (mm->pgtables_bytes.counter >> PAGE_SHIFT);
}

/* Younger, then higher number */
static __always_inline bool younger(struct task_struct *a, struct task_struct *b)
{
	return a->start_boottime > b->start_boottime ||
	       (a->start_boottime == b->start_boottime && a->tgid > b->tgid);
}

/* Is a candidate with this number before the best one, as far as processes go? */
static __always_inline bool beats(long size, struct task_struct *t, long max, struct task_struct *best)
{
	if (FULL && unlikely(size == max))
		return best && younger(t, best);
	return size > max;
}

/* On its way out, with all its threads or with its leader alone: seldom */
static __always_inline bool leaving(struct task_struct *t, struct signal_struct *signal)
{
	return signal->flags & SIGNAL_GROUP_EXIT || t->flags & PF_EXITING;
}

/* Of one that is leaving: is it no candidate? */
static __always_inline bool gone(struct signal_struct *signal)
{
	return signal->flags & SIGNAL_GROUP_EXIT || signal->oom_mm || !signal->live.counter;
}

#define first_css_set(cgrp)	((cgrp)->e_csets[memory_cgrp_id].next)

/* Nobody runs in it, as far as the memory controller goes */
static __always_inline bool is_empty(struct cgroup *cgrp)
{
	return first_css_set(cgrp) == &cgrp->e_csets[memory_cgrp_id];
}

#ifdef LEAN
enum { NOBODY, WAITING, GIVE_UP };

static __always_inline void begin_flight(void) {}
static __always_inline void note_hidden_leaders(struct cgroup *cgrp) {}
static __always_inline void note_leaving(void) {}
static __always_inline bool in_flight(struct mem_cgroup *memcg) { return false; }
static __always_inline int wait_for_victim(struct oom_control *oc) { return NOBODY; }
#else
/*
 * Numbers of the look. In a map and not in registers, because the verifier would follow each of their values through the
 * loops. Hidden, because a map with a reference in it cannot be mapped by its loader.
 */
struct {
	struct task_struct __kptr *victim;
	long look;	/* not 0: this cgroup has to be looked at, thread by thread */
	long stuck;
	long judged, shared;
} flight SEC(".bss.flight") __hidden;

/*
 * A walk over leaders does not show one that has left while its threads are still leaving. Such a leader is in the list of
 * the dying of its css_set; so are zombies that wait for their parent, and then the look is for nothing. A cgroup has
 * more than one css_set when cgroups below it lack the memory controller: seldom enough to look at once.
 */
static __always_inline void note_hidden_leaders(struct cgroup *cgrp)
{
	struct list_head *head = &cgrp->e_csets[memory_cgrp_id], *first = head->next;
	struct css_set *set;

	set = bpf_rdonly_cast((void *)first - bpf_core_field_offset(struct css_set, e_cset_node) -
				      memory_cgrp_id * sizeof(struct list_head),
			      bpf_core_type_id_kernel(struct css_set));
	/* Without branches: the verifier allows the difference of pointers */
	flight.look = ((long)first->next - (long)head) |
		      ((long)set->dying_tasks.next - (long)&set->dying_tasks);
}

static __always_inline void note_leaving(void)
{
	flight.look = 1;
}

static __always_inline void begin_flight(void)
{
	flight.stuck = flight.judged = 0;
}

/* __task_will_free_mem(): killed or exiting with all its threads, and not dumping core */
static __always_inline bool exiting_as_a_whole(struct task_struct *thread)
{
	struct signal_struct *signal = thread->signal;

	if (signal->core_state)
		return false;
	return signal->flags & SIGNAL_GROUP_EXIT || (signal->nr_threads == 1 && thread->flags & PF_EXITING);
}

static __always_inline bool chosen_and_not_reaped(struct task_struct *thread)
{
	struct mm_struct *mm = thread->signal->oom_mm;

	return mm && !(mm->flags & (1UL << MMF_OOM_SKIP));
}

/* Does anybody live on with this memory? One look at the machine per process. */
static __always_inline bool is_shared(struct task_struct *thread, struct mm_struct *mm)
{
	struct task_struct *other;
	int pid = thread->tgid;

	if (mm->mm_users.counter <= 1)
		return false;
	if (flight.judged == pid)
		return flight.shared;
	flight.judged = pid;
	flight.shared = 0;
	bpf_rcu_read_lock();
	bpf_for_each(task, other, NULL, ALL_THREADS) {
		if (other->mm != mm || other->tgid == pid || exiting_as_a_whole(other))
			continue;
		flight.shared = 1;
		break;
	}
	bpf_rcu_read_unlock();
	return flight.shared;
}

/*
 * Looks at all threads of a cgroup. The victim, if there is one, is referenced. Global, so that the verifier looks at it once
 * and by itself.
 */
__noinline bool find_in_flight(struct mem_cgroup *memcg __attribute__((btf_decl_tag("arg:trusted"))))
{
	struct task_struct *thread, *victim = NULL;
	struct mm_struct *mm;

	bpf_for_each(css_task, thread, &memcg->css, 0) {
		mm = thread->mm;
		if (!mm) {
			if (chosen_and_not_reaped(thread))
				flight.stuck = 1;
			continue;
		}
		if (!exiting_as_a_whole(thread) || mm->flags & (1UL << MMF_OOM_SKIP) || is_shared(thread, mm))
			continue;
		if (unkillable(thread, thread->signal)) {
			flight.stuck = 1;
			continue;
		}
		victim = bpf_task_acquire(thread);
		if (victim)
			break;
	}
	if (!victim)
		return false;
	victim = bpf_kptr_xchg(&flight.victim, victim);
	if (victim)
		bpf_task_release(victim);
	return true;
}

static __always_inline bool in_flight(struct mem_cgroup *memcg)
{
	return unlikely(flight.look) && find_in_flight(memcg);
}

enum { NOBODY, WAITING, GIVE_UP };

/* After the walk: asks the kernel to hurry the victim on */
static __always_inline int wait_for_victim(struct oom_control *oc)
{
	struct task_struct *victim = bpf_kptr_xchg(&flight.victim, NULL);
	bool still_there;
	int err;

	if (!victim)
		return flight.stuck ? GIVE_UP : NOBODY;
	err = bpf_oom_kill_process(oc, victim, "a victim is on its way out");
	still_there = victim->mm || chosen_and_not_reaped(victim);
	bpf_task_release(victim);
	if (!err)
		return WAITING;
	return err == -ESRCH && still_there ? GIVE_UP : NOBODY;
}
#endif
