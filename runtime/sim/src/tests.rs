//! What the simulator refuses, and how an event goes through a machine.

use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::mark;
use oomc_abi::members;
use oomc_abi::model::Class;
use oomc_abi::record::End;
use oomc_abi::resolve::KernelView;
use oomc_object::Object;

use crate::exec;
use crate::layout::Layout;
use crate::machine::{Amounts, Cgroup, Event, Life, Machine, PAGE, Process};
use crate::program::Program;
use crate::tree::Tree;
use crate::world::Model;
use crate::{Attached, Call, Kernel, Killer, Mark, Policy, Simulation};

const MIB: i64 = (1 << 20) / PAGE;

fn kernel() -> Kernel {
    Kernel::new(KernelView::embedded()).unwrap()
}

fn cgroup(name: &str, parent: usize, serial: i64) -> Cgroup {
    Cgroup { name: name.to_owned(), parent: Some(parent), id: 100 + serial, serial, ..Cgroup::default() }
}

fn process(cgroup: usize, pid: i64, anon: i64) -> Process {
    Process { cgroup, pid, anon, comm: format!("p{pid}"), threads: 1, start: pid, ..Process::default() }
}

/// `/job` of 80 MiB with leaves `a` (30 MiB) and `b` (40 MiB, and a small one).
fn machine() -> Machine {
    let mut machine = Machine { memory: 512 * MIB, now: 1_000_000, ..Machine::default() };
    machine.cgroups.push(Cgroup { id: 1, serial: 1, ..Cgroup::default() });
    machine.cgroups.push(Cgroup { max: Some(80 * MIB), ..cgroup("job", 0, 2) });
    for (name, serial, size) in [("a", 3, 30), ("b", 4, 41)] {
        let own = Amounts { charged: size * MIB, anon: size * MIB * PAGE, ..Amounts::default() };
        machine.cgroups.push(Cgroup { own, ..cgroup(name, 1, serial) });
    }
    machine.processes = vec![process(2, 10, 30 * MIB), process(3, 11, 40 * MIB), process(3, 12, MIB)];
    machine
}

fn event() -> Event {
    Event { cgroup: Some(1), attached: 1, total: 80 * MIB, constraint: 3, ..Event::default() }
}

fn policy(kernel: &Kernel, text: &str) -> Policy {
    let source = oomc_compiler::Source::new("test.oom", text);
    let compiled = oomc_compiler::compile(&source, kernel.view());
    let object = compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
    Policy::new(kernel, &Object::parse(&object).unwrap()).unwrap()
}

// Instructions, as much as these tests need.

fn insn(op: u8, dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    u64::from(op)
        | u64::from(dst) << 8
        | u64::from(src) << 12
        | u64::from(off as u16) << 16
        | u64::from(imm as u32) << 32
}

const EXIT: u8 = 0x95;

fn mov(dst: u8, imm: i32) -> u64 {
    insn(0xb7, dst, 0, 0, imm)
}

fn copy(dst: u8, src: u8) -> u64 {
    insn(0xbf, dst, src, 0, 0)
}

fn load(dst: u8, src: u8, off: i16) -> u64 {
    insn(0x79, dst, src, off, 0)
}

fn call(kernel: &Kernel, row: KfuncId) -> u64 {
    insn(0x85, 0, 2, 0, kernel.view().kfunc(row).unwrap() as i32)
}

/// Runs instructions that end with `r0 = 0; exit` for the event on the machine; what is wrong with them.
fn refusal(code: impl FnOnce(&Kernel) -> Vec<u64>) -> Option<String> {
    let kernel = kernel();
    let mut code = code(&kernel);
    code.extend([mov(0, 0), insn(EXIT, 0, 0, 0, 0)]);
    let program = Program::decode(&code, kernel.view().btf(), &[]).unwrap();
    let (mut machine, event) = (machine(), event());
    let tree = Tree::new(&machine);
    let mut layout = Layout::new(&kernel, &machine, &tree).unwrap();
    let mut model = Model::new(&kernel, &mut machine, &tree, &mut layout, &mut [], &event);
    exec::run(&program, &mut model).err().map(|refusal| refusal.to_string())
}

/// R7 = the event's memcg.
fn memcg(kernel: &Kernel) -> Vec<u64> {
    let at = kernel.view().member(members::OC_MEMCG.container, members::OC_MEMCG.path).unwrap().offset;
    vec![load(6, 1, 0), load(7, 6, at as i16)]
}

fn check(code: impl FnOnce(&Kernel) -> Vec<u64>, expected: &str) {
    let told = refusal(code).unwrap_or_else(|| panic!("not refused: {expected}"));
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_sound_program_runs() {
    let sound = |kernel: &Kernel| {
        let get = [copy(1, 7), call(kernel, kfuncs::GET_MEM_CGROUP), copy(1, 0)];
        [memcg(kernel), get.to_vec(), vec![call(kernel, kfuncs::PUT_MEM_CGROUP)]].concat()
    };
    assert_eq!(refusal(sound), None);
}

#[test]
fn references_are_given_back_once() {
    let leak =
        |kernel: &Kernel| [memcg(kernel), vec![copy(1, 7), call(kernel, kfuncs::GET_MEM_CGROUP)]].concat();
    check(leak, "the program ends and holds a reference");
    let twice = |kernel: &Kernel| {
        let put = [copy(1, 8), call(kernel, kfuncs::PUT_MEM_CGROUP)];
        let get = [copy(1, 7), call(kernel, kfuncs::GET_MEM_CGROUP), copy(8, 0)];
        [memcg(kernel), get.to_vec(), put.to_vec(), put.to_vec()].concat()
    };
    check(twice, "bpf_put_mem_cgroup gives back what is not held");
}

#[test]
fn null_is_not_used() {
    let absent = |kernel: &Kernel| vec![mov(1, 4711), call(kernel, kfuncs::TASK_FROM_PID), load(1, 0, 16)];
    check(absent, "the program reads through a null pointer, at byte 16");
    let handed = |kernel: &Kernel| vec![mov(1, 0), call(kernel, kfuncs::TASK_ACQUIRE)];
    check(handed, "bpf_task_acquire: R1 is null, not a Task");
}

#[test]
fn nothing_sleeps_in_a_section() {
    let sleeps = |kernel: &Kernel| {
        let flush =
            [call(kernel, kfuncs::RCU_READ_LOCK), copy(1, 7), call(kernel, kfuncs::MEM_CGROUP_FLUSH_STATS)];
        [memcg(kernel), flush.to_vec()].concat()
    };
    check(sleeps, "bpf_mem_cgroup_flush_stats may sleep, and is called inside an RCU section");
    check(|kernel| vec![call(kernel, kfuncs::RCU_READ_LOCK)], "the program ends inside an RCU section");
    check(|kernel| vec![call(kernel, kfuncs::RCU_READ_LOCK); 2], "an RCU section inside another one");
    check(|kernel| vec![call(kernel, kfuncs::RCU_READ_UNLOCK)], "that it is not in");
}

/// A walk over the event's cgroup and all below it, up to where it begins.
fn walk(kernel: &Kernel, section: bool) -> Vec<u64> {
    let order = kernel.view().enumerator(members::WALK_PRE.enumeration, members::WALK_PRE.name).unwrap();
    let start = [
        copy(1, 10),
        insn(0x07, 1, 0, 0, -24),
        copy(2, 7),
        mov(3, order as i32),
        call(kernel, kfuncs::ITER_CSS_NEW),
    ];
    let section = if section { vec![call(kernel, kfuncs::RCU_READ_LOCK)] } else { Vec::new() };
    [memcg(kernel), section, start.to_vec()].concat()
}

#[test]
fn walks_come_to_their_end() {
    check(|kernel| walk(kernel, false), "bpf_iter_css_new is called outside of an RCU section");
    check(|kernel| walk(kernel, true), "the program ends inside a walk");
    let left = |kernel: &Kernel| [walk(kernel, true), vec![call(kernel, kfuncs::RCU_READ_UNLOCK)]].concat();
    check(left, "the RCU section ends inside a walk over cgroups");
    check(|_| vec![insn(0x05, 0, 0, -1, 0)], "a loop without end");
    let unknown =
        |kernel: &Kernel| vec![copy(1, 10), insn(0x07, 1, 0, 0, -24), call(kernel, kfuncs::ITER_NUM_NEXT)];
    check(unknown, "no iterator was started here");
}

#[test]
fn memory_is_the_programs_own() {
    check(|_| vec![load(6, 1, 0), insn(0x7b, 6, 6, 0, 0)], "where it may only read");
    check(|_| vec![insn(0x7b, 10, 1, 0, 0)], "the program writes at");
    check(|_| vec![load(1, 1, 16)], "the program reads at");
    let lost = |kernel: &Kernel| vec![call(kernel, kfuncs::RCU_READ_LOCK), load(2, 1, 0)];
    check(lost, "where nothing is");
    check(|_| vec![insn(0x85, 0, 0, 0, 999)], "calls a function that the kernel lacks");
}

#[test]
fn a_cgroup_that_nobody_holds_is_not_asked() {
    let unheld = |kernel: &Kernel| {
        let parent =
            kernel.view().member(members::MEMCG_PARENT.container, members::MEMCG_PARENT.path).unwrap();
        let flush = [load(1, 7, parent.offset as i16), call(kernel, kfuncs::MEM_CGROUP_FLUSH_STATS)];
        [memcg(kernel), flush.to_vec()].concat()
    };
    check(unheld, "R1 is a mem_cgroup that nobody holds");
}

#[test]
fn what_is_read_as_a_type_is_a_structure() {
    let cast =
        |ty: i32| move |kernel: &Kernel| vec![copy(1, 1), mov(2, ty), call(kernel, kfuncs::RDONLY_CAST)];
    check(cast(0), "something is read as type 0, which is no structure");
    check(cast(-1), "something is read as type 18446744073709551615, which is no structure");
}

// Marks.

/// What instructions tell on the machine; R7 is the event's memcg, R8 the second thread of process 1.
fn marks(code: impl FnOnce(&Kernel) -> Vec<u64>) -> Vec<Mark> {
    let kernel = kernel();
    let mut machine = machine();
    machine.processes[1].threads = 2;
    let tree = Tree::new(&machine);
    let event = event();
    let mut layout = Layout::new(&kernel, &machine, &tree).unwrap();
    let thread = layout.address(Class::Task, machine.processes.len());
    assert_eq!(layout.process_of(machine.processes.len()), 1);
    let wide = vec![insn(0x18, 8, 0, 0, thread as i32), insn(0, 0, 0, 0, (thread >> 32) as i32)];
    let end = vec![mov(0, 0), insn(EXIT, 0, 0, 0, 0)];
    let code = [memcg(&kernel), wide, code(&kernel), end].concat();
    let program = Program::decode(&code, kernel.view().btf(), &[]).unwrap();
    let mut model = Model::new(&kernel, &mut machine, &tree, &mut layout, &mut [], &event);
    exec::run(&program, &mut model).unwrap();
    model.marks.into_list()
}

#[test]
fn marks_are_told_once_each_in_order() {
    let pass = |point, object| mark::encode(point, object);
    let told =
        marks(|_| vec![pass(5, None), pass(2, Some(7)), pass(5, None), pass(2, None), pass(2, Some(7))]);
    let mark = |point, object| Mark { point, object };
    assert_eq!(told, [mark(5, None), mark(2, Some(crate::Object::Cgroup(1))), mark(2, None)]);
}

#[test]
fn a_mark_names_the_process_of_a_thread_and_the_cgroup_of_a_css() {
    let css = |kernel: &Kernel| {
        let at = kernel.view().member(members::MEMCG_CSS.container, members::MEMCG_CSS.path).unwrap().offset;
        vec![
            mark::encode(0, Some(8)),
            copy(1, 7),
            insn(0x07, 1, 0, 0, at as i32),
            call(kernel, kfuncs::GET_MEM_CGROUP),
            mark::encode(1, Some(0)),
            copy(1, 0),
            call(kernel, kfuncs::PUT_MEM_CGROUP),
        ]
    };
    let told: Vec<Option<crate::Object>> = marks(css).into_iter().map(|mark| mark.object).collect();
    assert_eq!(told, [Some(crate::Object::Process(1)), Some(crate::Object::Cgroup(1))]);
}

#[test]
fn a_mark_changes_no_register() {
    let told =
        marks(|_| vec![mov(1, 3), mark::encode(0, None), insn(0x15, 1, 0, 1, 3), mark::encode(1, None)]);
    assert_eq!(told, [Mark { point: 0, object: None }]);
}

#[test]
fn a_mark_of_nobody_is_refused() {
    check(|_| vec![mov(1, 0), mark::encode(0, Some(1))], "a mark at 0x0: neither a process nor a cgroup");
    check(|_| vec![mark::encode(0, Some(10))], "neither a process nor a cgroup");
}

// Events.

#[test]
fn the_largest_dies_and_the_record_says_so() {
    let kernel = kernel();
    let mut simulation = Simulation::new(&kernel, machine()).unwrap();
    let mut policies = [Attached::new(&policy(&kernel, "kill largest in subtree"), simulation.machine(), 1)];
    let outcome = simulation.out_of_memory(&mut policies, &event()).unwrap();
    let [asked] = outcome.asked.as_slice() else { panic!("{outcome:?}") };
    assert_eq!((asked.run.answer, asked.run.calls.as_slice()), (1, [Call::Kill(11)].as_slice()));
    let record = asked.record.as_ref().unwrap();
    assert_eq!((record.victim, record.victim_name.as_str(), record.killed), (11, "p11", 1));
    assert_eq!(outcome.killer, None);
    assert_eq!(simulation.machine().processes[1].life, Life::Dying { chosen: true, reaped: false });
    // Asked again, it waits, however often: one record.
    for _ in 0..3 {
        let outcome = simulation.out_of_memory(&mut policies, &event()).unwrap();
        assert_eq!(outcome.asked[0].run.calls, [Call::Hurry(11)]);
    }
    let records = policies[0].records();
    assert_eq!(records.iter().map(|record| record.count).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn what_was_done_can_be_undone() {
    let kernel = kernel();
    let before = machine();
    for text in ["kill all process in subtree", "kill cgroup in cgroup", "raise_limit 20%"] {
        let policy = policy(&kernel, text);
        let asked = |simulation: &mut Simulation<'_>| {
            let run = simulation.ask(&mut Attached::new(&policy, &before, 1), &event()).unwrap();
            assert!(run.handled(), "{text}: {run:?}");
            run
        };
        let mut simulation = Simulation::new(&kernel, before.clone()).unwrap();
        let first = asked(&mut simulation);
        assert_ne!(*simulation.machine(), before, "{text}");
        simulation.undo(&before);
        assert_eq!(*simulation.machine(), before, "{text}");
        // Also for the program, which reads what is written down of the machine.
        assert_eq!(asked(&mut simulation), first, "{text}");
    }
}

#[test]
fn the_root_is_no_unit_of_a_descent() {
    let kernel = kernel();
    let mut machine = machine();
    machine.cgroups.truncate(1);
    machine.processes.iter_mut().for_each(|process| process.cgroup = 0);
    let mut simulation = Simulation::new(&kernel, machine).unwrap();
    let event = Event { cgroup: None, attached: 0, constraint: 0, ..event() };
    for text in ["pick p = cgroup in subtree stepwise", "pick p = cgroup in subtree"] {
        let text = format!("{text} rule \"kill\": kill largest in subtree of p");
        let mut policy = Attached::new(&policy(&kernel, &text), simulation.machine(), 0);
        let run = simulation.ask(&mut policy, &event).unwrap();
        assert_eq!((run.answer, run.calls.as_slice()), (0, [].as_slice()), "{text}");
        assert_eq!(policy.records()[0].ends[0], End::NothingPicked.code(), "{text}");
    }
}

#[test]
fn policies_are_asked_from_below() {
    let kernel = kernel();
    let mut machine = machine();
    machine.cgroups[2].max = Some(30 * MIB);
    let mut simulation = Simulation::new(&kernel, machine).unwrap();
    let attach = |text: &str, cgroup| Attached::new(&policy(&kernel, text), simulation.machine(), cgroup);
    // The lower one gives up, the one at the root is not asked any more.
    let mut policies = [
        attach("default defer", 2),
        attach("kill smallest in subtree", 1),
        attach("kill largest in subtree", 0),
    ];
    let event = Event { cgroup: Some(2), ..event() };
    let outcome = simulation.out_of_memory(&mut policies, &event).unwrap();
    assert_eq!(outcome.asked.iter().map(|asked| asked.cgroup).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(outcome.asked[1].run.calls, [Call::Kill(10)], "the only one in the domain");
    assert_eq!(outcome.killer, None);
}

#[test]
fn an_answer_without_freed_memory_does_not_count() {
    let kernel = kernel();
    let mut simulation = Simulation::new(&kernel, machine()).unwrap();
    let mut audit =
        Attached::new(&policy(&kernel, "mode audit kill smallest in subtree"), simulation.machine(), 1);
    // Answers 1 and does nothing; the kernel wants both.
    let program = Program::decode(&[mov(0, 1), insn(EXIT, 0, 0, 0, 0)], kernel.view().btf(), &[]).unwrap();
    audit.policy.program = std::sync::Arc::new(program);
    let outcome = simulation.out_of_memory(std::slice::from_mut(&mut audit), &event()).unwrap();
    assert_eq!((outcome.asked[0].run.answer, outcome.asked[0].run.freed), (1, false));
    assert_eq!(outcome.killer, Some(Killer::Killed(1, vec![1])), "the kernel's own choice");
    // It waits for its own victim, then takes the next.
    let outcome = simulation.out_of_memory(&mut [], &event()).unwrap();
    assert_eq!(outcome.killer, Some(Killer::Waits(1)));
}

#[test]
fn the_kernel_kills_by_its_score() {
    let kernel = kernel();
    let killed = |change: fn(&mut Machine)| {
        let mut machine = machine();
        change(&mut machine);
        let mut simulation = Simulation::new(&kernel, machine).unwrap();
        simulation.out_of_memory(&mut [], &event()).unwrap().killer
    };
    assert_eq!(killed(|_| {}), Some(Killer::Killed(1, vec![1])));
    assert_eq!(killed(|machine| machine.processes[1].adj = -1000), Some(Killer::Killed(0, vec![0])));
    // 500 thousandths of 80 MiB are more than the 39 MiB between them.
    assert_eq!(killed(|machine| machine.processes[2].adj = 500), Some(Killer::Killed(2, vec![2])));
    let group = |machine: &mut Machine| machine.cgroups[3].group = true;
    assert_eq!(killed(group), Some(Killer::Killed(1, vec![1, 2])), "memory.oom.group");
    let shared = |machine: &mut Machine| machine.processes[0].shares_with = Some(1);
    assert_eq!(killed(shared), Some(Killer::Killed(1, vec![0, 1])), "the same memory");
    let nobody = |machine: &mut Machine| machine.processes.iter_mut().for_each(|process| process.adj = -1000);
    assert_eq!(killed(nobody), Some(Killer::Nobody));
    let given_up =
        |machine: &mut Machine| machine.processes[1].life = Life::Gone { chosen: true, reaped: true };
    assert_eq!(killed(given_up), Some(Killer::Killed(0, vec![0])));
}

#[test]
fn who_dies_anyway_is_let_go() {
    let kernel = kernel();
    let mut machine = machine();
    machine.processes[2].life = Life::Dying { chosen: false, reaped: false };
    let mut simulation = Simulation::new(&kernel, machine).unwrap();
    let mut policies =
        [Attached::new(&policy(&kernel, "kill largest in subtree now"), simulation.machine(), 1)];
    let outcome = simulation.out_of_memory(&mut policies, &Event { trigger: Some(2), ..event() }).unwrap();
    assert!(outcome.asked.is_empty());
    assert_eq!(outcome.killer, None);
}

#[test]
fn a_rise_leaves_what_ancestors_can_carry() {
    let kernel = kernel();
    let mut machine = machine();
    machine.cgroups[3].max = Some(41 * MIB);
    let mut simulation = Simulation::new(&kernel, machine).unwrap();
    let attach = |text: &str| [Attached::new(&policy(&kernel, text), simulation.machine(), 1)];
    let (mut modest, mut greedy) = (attach("raise_limit 2MiB"), attach("raise_limit 1GiB"));
    let event = Event { cgroup: Some(3), ..event() };
    simulation.out_of_memory(&mut modest, &event).unwrap();
    assert_eq!(simulation.machine().cgroups[3].max, Some(43 * MIB));
    // `/job` has 9 MiB left, and nobody has used the 2 MiB yet.
    simulation.out_of_memory(&mut greedy, &event).unwrap();
    assert_eq!(simulation.machine().cgroups[3].max, Some(52 * MIB));
}

#[test]
fn what_a_machine_names_is_there_to_be_read() {
    let kernel = kernel();
    let mut machine = machine();
    machine.processes[0].members = vec![("sched_reset_on_fork".to_owned(), 1)];
    machine.processes[2].members = vec![("signal->nr_threads".to_owned(), 7)];
    machine.cgroups[2].members = vec![("memory.failcnt".to_owned(), 3)];
    let mut simulation = Simulation::new(&kernel, machine).unwrap();
    let mut dies = |text: &str| {
        let mut policy = Attached::new(&policy(&kernel, text), simulation.machine(), 1);
        policy.set_audit(true);
        simulation.ask(&mut policy, &event()).unwrap();
        policy.records()[0].victim
    };
    assert_eq!(dies("kill in subtree where task.sched_reset_on_fork == 1"), 10);
    assert_eq!(dies("kill in subtree where task.signal.nr_threads == 7"), 12);
    assert_eq!(dies("kill cgroup in subtree where memcg.memory.failcnt == 3"), 103);
    assert_eq!(dies("kill in subtree where task.exit_code == 0"), 11);
    let exit_code = kernel.view().member("task_struct", "exit_code").unwrap().offset;
    let unfilled: Vec<_> = simulation.unfilled().collect();
    assert!(unfilled.contains(&("task_struct", u64::from(exit_code))), "{unfilled:?}");
    let mut wrong = simulation.machine().clone();
    wrong.processes[0].members = vec![("no_such_member".to_owned(), 1)];
    let error = Simulation::new(&kernel, wrong).unwrap_err().to_string();
    assert!(error.contains("no_such_member"), "{error}");
}

#[test]
fn threads_belong_to_their_processes() {
    let kernel = kernel();
    let mut machine = machine();
    for (process, threads) in machine.processes.iter_mut().zip([3, 1, 2]) {
        process.threads = threads;
    }
    let layout = Layout::new(&kernel, &machine, &Tree::new(&machine)).unwrap();
    assert_eq!((0..6).map(|task| layout.process_of(task)).collect::<Vec<_>>(), [0, 1, 2, 0, 0, 2]);
}

#[test]
fn an_object_for_another_kernel_is_told_apart() {
    let kernel = kernel();
    let source = oomc_compiler::Source::new("test.oom", "kill largest in subtree");
    let object = oomc_compiler::compile(&source, kernel.view()).object.unwrap();
    let mut object = Object::parse(&object).unwrap();
    object.externs[0].name = "bpf_not_there".to_owned();
    object.externs[0].weak = false;
    let error = Policy::new(&kernel, &object).unwrap_err().to_string();
    assert_eq!(error, "the kernel lacks bpf_not_there");
}

#[test]
fn one_object_serves_a_kernel_without_raising() {
    let text = "raise_limit 10% up to 1GiB or kill largest in subtree";
    let source = oomc_compiler::Source::new("test.oom", text);
    let object = oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap();
    let object = Object::parse(&object).unwrap();
    let calls = |view: KernelView| {
        let kernel = Kernel::new(view).unwrap();
        let policy = Policy::new(&kernel, &object).unwrap();
        let mut simulation = Simulation::new(&kernel, machine()).unwrap();
        let mut policy = Attached::new(&policy, simulation.machine(), 1);
        simulation.ask(&mut policy, &event()).unwrap().calls
    };
    let without = KernelView::from_btf(include_bytes!("../../../tests/btf/no_raise.btf")).unwrap();
    assert_eq!(calls(KernelView::embedded()), [Call::Raise(88 * MIB * PAGE)]);
    assert_eq!(calls(without), [Call::Kill(11)]);
}

#[test]
fn who_is_gone_leaves_his_memory() {
    let mut machine = machine();
    machine.processes.push(Process { shares_with: Some(0), ..process(2, 13, 30 * MIB) });
    machine.processes[0].life = Life::Dying { chosen: true, reaped: false };
    machine.processes[1].life = Life::Dying { chosen: false, reaped: false };
    machine.bury();
    let pids: Vec<i64> = machine.processes.iter().map(|one| one.pid).collect();
    assert_eq!(pids, [12, 13]);
    assert_eq!(machine.processes[1].shares_with, None, "who had the memory is gone");
    assert_eq!(machine.cgroups[2].own.charged, 30 * MIB, "somebody still has it");
    assert_eq!(machine.cgroups[3].own.charged, MIB);
    assert_eq!(machine.cgroups[3].own.anon, MIB * PAGE);
}
