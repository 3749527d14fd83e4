// SPDX-License-Identifier: MIT
// xs-replay: plays a recorded session again: in this process or to a daemon, checked, compared, shuffled, made smaller.
#include "bisect/output_file.hpp"
#include "bisect/replay/commit_ids.hpp"
#include "bisect/replay/history.hpp"
#include "bisect/replay/minimize.hpp"
#include "bisect/replay_directory.hpp"
#include "bisect/replay_options.hpp"
#include "bisect/replay_shell.hpp"
#include "bisect/serve/command_line.hpp"
#include "inspect/revision.hpp"
#include "inspect/tool.hpp"
#include "server/engine/state.hpp"
#include "xsgit/session/reader.hpp"
#include "xsgit/session/text.hpp"

#include <fmt/core.h>
#include <thread>
#include <unistd.h>

using namespace xsgit;
using namespace xsgit::inspect;
using namespace xsgit::replay;

namespace {

/// Sleeps until it is the step's time.
class Pace {
public:
    explicit Pace(double speed) : speed_(speed), begin_(std::chrono::steady_clock::now()) {}
    void wait(const Step &step) const
    {
        if (speed_ > 0)
            std::this_thread::sleep_until(begin_ + std::chrono::microseconds(static_cast<std::int64_t>(
                                                       static_cast<double>(step.at_us) / speed_)));
    }

private:
    double speed_;
    std::chrono::steady_clock::time_point begin_;
};

/// A line from the keyboard; false: there is none any more.
bool next_line()
{
    flush();
    char c = 0;
    while (::read(STDIN_FILENO, &c, 1) == 1)
        if (c == '\n')
            return true;
    return false;
}

void tell_step(const Script &script, const Step &step, const std::vector<Received> &came)
{
    print(step_text(script, step) + "\n");
    for (const Received &m : came)
        print(fmt::format("    c{} {}\n", script.clients[m.client].conn, received_text(m)));
}

class Replayer {
public:
    Replayer(Tool &tool, ReplayRequest &o) : tool_(tool), o_(o) {}

    int run()
    {
        must_fit(o_);
        for (const std::string &path : {o_.output, o_.test})
            if (path != "-")
                refuse_existing(path, o_.force); // now, not when all is done
        if (o_.show)
            return show();
        load();
        if (o_.seed)
            script_ = reinterleave(script_, *o_.seed);
        const int code = o_.minimize ? shrink() : play();
        if (code == kOk || !o_.minimize)
            write_results();
        return code == kOk && !script_.damage.empty() ? static_cast<int>(kNoRepository) : code;
    }

private:
    void load()
    {
        const Limit limit = limit_of(o_.until);
        if (o_.from.empty())
            load_session();
        else
            load_history();
        script_ = cut(std::move(script_), limit);
    }

    void load_history()
    {
        view_ = tool_.open();
        to_ = resolve(*view_, o_.to, tool_.utc());
        script_ = history_script(*view_, resolve(*view_, o_.from, tool_.utc()), to_);
    }

    void load_session()
    {
        script_ = load_script(o_.session);
        if (!script_.damage.empty())
            tool_.note(
                fmt::format("{}: damaged at {}; what is before it is used", o_.session, script_.damage));
        if (script_.known_until < script_.received.size())
            tool_.note(fmt::format(
                "{}: messages are missing (\"dropped\"); what follows is played, not checked", o_.session));
    }

    int show() const
    {
        const Ending end = read_session(
            o_.session, [](const session::Record &r, std::uint64_t) { print(session::line(r) + "\n"); });
        if (!end.damage.empty())
            throw ToolFailure(kNoRepository, fmt::format("{}: damaged at {}", o_.session, end.damage));
        if (!end.complete)
            tool_.note(o_.session + ": it has no end mark: the recorder was killed, or still writes");
        return kOk;
    }

    /// The predicate of the options, handed to `use`; the files of --fails-if live as long.
    template <class Use>
    auto with_directory(const Use &use)
    {
        const ReplayDirectory files;
        return use(fails_by_command(o_.stage, o_.fails_if, files.path()));
    }

    /// For people; a result on standard output stays alone there.
    void say(const std::string &text) const
    {
        if (o_.result_on_stdout())
            fmt::print(stderr, "{}", text);
        else
            print(text);
    }

    int play()
    {
        ReplayOptions r;
        r.lenient = o_.stage.lenient;
        r.check = o_.check && !view_; // history has no replies
        const Pace pace(speed_of(o_.speed));
        bool stepping = o_.step;
        r.before = [&](const Step &step) {
            pace.wait(step);
            return true;
        };
        r.after = [&](const Step &step, const std::vector<Received> &came) {
            if (!o_.output.empty())
                answers_.push_back(came);
            if (!o_.step)
                return;
            tell_step(script_, step, came);
            stepping = stepping && next_line();
        };
        r.late = [&](const std::vector<Received> &late) { collect(answers_, late); };
        if (!o_.fails_if.empty())
            return verdict(with_directory([&](const Fails &fails) { return fails(script_); }));
        reset(o_.stage);
        std::optional<CommitIds> commits;
        if (o_.commits && script_.start)
            throw NotPlayable(
                "it begins in the middle of a history: what came before decides the ids of commits, too");
        if (o_.commits)
            commits.emplace();
        const auto target = o_.commits ? std::make_unique<EngineTarget>(script_, &*commits)
                                       : make_target(o_.stage.against, script_, o_.stage);
        Outcome outcome;
        if (o_.stage.compare.empty()) {
            outcome = replay::replay(script_, *target, r);
        } else {
            const auto other = make_target(o_.stage.compare, script_, o_.stage);
            outcome = compare(script_, *target, *other, r);
        }
        if (const std::string remark = target->remark(); !remark.empty())
            tool_.note(remark);
        if (outcome.difference) {
            report(outcome);
            return kDiffers;
        }
        if (commits)
            print(fmt::format("commit {}\n", commits->tips().main.hex()));
        if (o_.shell) {
            flush();
            return run_on_state(dynamic_cast<const EngineTarget &>(*target).state(), o_.command);
        }
        if (view_ && o_.check)
            return compare_with_commit(outcome, dynamic_cast<const EngineTarget &>(*target).state());
        if (o_.dump)
            print(state_text(dynamic_cast<const EngineTarget &>(*target).state()));
        else if (!o_.step && !o_.commits)
            say(fmt::format("{} requests{}\n", outcome.requests,
                            o_.check || !o_.stage.compare.empty()
                                ? fmt::format(", {} messages compared: no difference", outcome.compared)
                                : std::string()));
        return o_.node.path.empty() ? static_cast<int>(kOk) : verdict(holds(o_.node, *target, script_));
    }

    int compare_with_commit(const Outcome &outcome, const server::State &state) const
    {
        const std::string difference = differing_node(state, *view_, to_);
        say(difference.empty()
                ? fmt::format("{} requests: the store is that of the commit\n", outcome.requests)
                : "the store is not that of the commit:\n" + difference + "\n");
        return difference.empty() ? kOk : kDiffers;
    }

    int verdict(bool fails) const
    {
        say(fails ? "the session fails\n" : "the session does not fail\n");
        return fails ? kDiffers : kOk;
    }

    void report(const Outcome &o) const
    {
        const bool two = !o_.stage.compare.empty();
        const std::string against = o_.stage.against.empty() ? "engine" : o_.stage.against;
        say(difference_text(script_, o, two ? against : "recorded", two ? o_.stage.compare : "now"));
    }

    int shrink()
    {
        if (!o_.fails_if.empty())
            return with_directory([&](const Fails &fails) { return shrink_by(fails); });
        if (!o_.stage.compare.empty())
            return shrink_by(fails_by_compare(o_.stage));
        if (!o_.check)
            return shrink_by(fails_by_node(o_.stage, o_.node));
        reset(o_.stage);
        ReplayOptions r;
        r.check = true;
        r.lenient = o_.stage.lenient;
        const Outcome first = replay::replay(script_, *make_target(o_.stage.against, script_, o_.stage), r);
        if (!first.difference)
            return not_failing();
        const auto fails = fails_by_check(o_.stage, script_, first);
        if (!fails)
            throw ToolFailure(
                kDiffers, "the first difference is in no reply, so that nobody can say which request is to "
                          "blame; say by --fails-if or --path what to look for:\n" +
                              difference_text(script_, first, "recorded", "now"));
        report(first);
        return shrink_by(*fails);
    }

    int not_failing() const
    {
        say("the session does not fail: there is nothing to make smaller\n");
        return kDiffers;
    }

    int shrink_by(const Fails &fails)
    {
        if (!fails(script_))
            return not_failing();
        const bool live = isatty(STDERR_FILENO);
        const std::size_t before = script_.requests();
        Minimized m = replay::minimize(script_, fails, o_.max_runs, [&](std::size_t left) {
            if (live)
                fmt::print(stderr, "\r{} requests \033[K", left);
        });
        if (live)
            fmt::print(stderr, "\r\033[K");
        script_ = std::move(m.script);
        script_.damage.clear();
        say(fmt::format("{} of {} requests fail, too ({} tries){}\n", script_.requests(), before, m.runs,
                        m.single ? "; none of them can be left out" : "; --max-runs ended the search"));
        for (const Step &step : script_.steps)
            say("  " + step_text(script_, step) + "\n");
        return kOk;
    }

    static void collect(Answers &answers, const std::vector<Received> &late)
    {
        if (!answers.empty())
            answers.back().insert(answers.back().end(), late.begin(), late.end());
    }

    Answers answers_of(Target &target) const
    {
        Answers answers;
        ReplayOptions r;
        r.after = [&](const Step &, const std::vector<Received> &came) { answers.push_back(came); };
        r.late = [&](const std::vector<Received> &late) { collect(answers, late); };
        replay::replay(script_, target, r);
        return answers;
    }

    /// The session is what was played, not what follows a difference, with the replies that it got.
    void write_results()
    {
        if (!o_.test.empty()) {
            EngineTarget engine(script_);
            const Answers answers = answers_of(engine);
            write(o_.test,
                  [&](const auto &sink) { sink(test_case(script_, answers, "a recorded session")); });
        }
        if (o_.output.empty())
            return;
        const bool recorded = o_.check && !view_;
        if (recorded) {
            answers_.clear();
        } else if (o_.minimize || !o_.fails_if.empty()) { // it was one play of many
            reset(o_.stage);
            answers_ = answers_of(*make_target(o_.stage.compare.empty() ? o_.stage.against : o_.stage.compare,
                                               script_, o_.stage));
        } else {
            script_ = first_steps(std::move(script_), answers_.size());
        }
        write(o_.output, [&](const auto &sink) { write_session(script_, answers_, sink); });
    }

    void write(const std::string &path, const Fill &fill) const
    {
        if (path == "-")
            fill([](std::string_view part) { print(part); });
        else
            write_output(path, o_.force, fill);
    }

    Tool &tool_;
    ReplayRequest &o_;
    std::unique_ptr<RepositoryView> view_; // with --from
    Oid to_;
    Script script_;
    Answers answers_;
};

} // namespace

int main(int argc, char **argv)
{
    Tool tool("xs-replay", "Play a recorded session again: in this process, or to a daemon.");
    ReplayRequest o;
    add_options(tool.app(), o);
    const bisect::CommandLine line(argc, argv);
    return tool.run(line.argc(), argv, [&] {
        try {
            if (const auto *command = line.command()) {
                o.command = *command;
                o.shell = true;
            }
            return Replayer(tool, o).run();
        } catch (const TargetFailed &e) {
            throw ToolFailure(kNoRepository, e.what());
        } catch (const session::NotASession &e) {
            throw ToolFailure(kNoRepository, fmt::format("{}: {}", o.session, e.what()));
        } catch (const NotPlayable &e) {
            throw ToolFailure(kNoRepository, fmt::format("{}: {}", o.session, e.what()));
        }
    });
}
