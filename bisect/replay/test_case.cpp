// SPDX-License-Identifier: MIT
// A script as a conversation in the notation of the system tests.
#include "bisect/replay/record_again.hpp"
#include "bisect/replay/runner.hpp"
#include "server/engine/facts.hpp"
#include "server/engine/wire.hpp"
#include "xsgit/session/text.hpp"

#include <fmt/core.h>
#include <map>
#include <set>
#include <unordered_map>

namespace xsgit::replay {

using server::MsgType;

namespace {

bool is(const session::Message &m, MsgType type) { return m.type == static_cast<std::uint32_t>(type); }

std::string notation(std::string_view payload)
{
    std::string text;
    for (const char c : payload) {
        if (c == '\0')
            text += '|';
        else if (c == ' ')
            text += "\\s";
        else if (c == '|' || c == '\\')
            text += std::string("\\") + c;
        else if (c > ' ' && c <= '~' && c != '{' && c != '<' && c != '$') // $5: a port
            text += c;
        else
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    return text;
}

/// Of a message that is expected: what begins it would say something else.
std::string expected(const Received &m)
{
    if (m.event)
        return "* " + notation(m.message.payload);
    if (is(m.message, MsgType::Error))
        return "!" + notation(m.message.payload.substr(0, m.message.payload.find('\0')));
    std::string text = notation(m.message.payload);
    if (text.empty())
        return "()";
    if (text[0] == '!' || text[0] == '*' || text == "()")
        text = fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0])) + text.substr(1);
    return text;
}

class Conversation {
public:
    Conversation(const Script &script, std::string_view title)
        : script_(script), text_(fmt::format("== {}\n", title))
    {
    }

    void step(const Step &step, const std::vector<Received> &came)
    {
        for (const Received &m : came)
            if (!m.closed)
                pending_[m.client].push_back(expected(m));
        if (const auto *news = std::get_if<session::Domains>(&step.what)) {
            domains(news->news);
        } else if (const auto *opened = std::get_if<session::Opened>(&step.what)) {
            if (opened->transport == session::Transport::Ring && introduced_.insert(name(step.client)).second)
                text_ += fmt::format("host guest {}\n", opened->domid.value_or(0));
        } else if (std::holds_alternative<session::Closed>(step.what)) {
            ask(step.client, "?");
            text_ += is_ring(step.client) ? "" : name(step.client) + " close\n";
        } else {
            request(step, came);
        }
    }

    std::string finish()
    {
        for (const auto &[client, lines] : std::map(pending_))
            ask(client, "?");
        return text_;
    }

private:
    bool is_ring(std::size_t client) const
    {
        return script_.clients[client].transport == session::Transport::Ring;
    }
    /// A, B, … Z, A1, B1 …
    std::string name(std::size_t client) const
    {
        if (is_ring(client))
            return fmt::format("d{}", script_.clients[client].domid.value_or(0));
        return static_cast<char>('A' + client % 26) +
               (client < 26 ? std::string() : std::to_string(client / 26));
    }
    void ask(std::size_t client, const std::string &what)
    {
        const auto it = pending_.find(client);
        if (what == "?" && it == pending_.end())
            return;
        text_ += what == "?" ? name(client) + " ?\n" : what;
        if (it == pending_.end())
            return;
        for (const std::string &line : it->second)
            text_ += "  " + line + "\n";
        pending_.erase(it);
    }
    void request(const Step &step, const std::vector<Received> &came)
    {
        const session::Request &r = *step.request();
        auto &ids = transactions_[step.client];
        std::string payload = notation(r.payload);
        if (is(r, MsgType::Introduce)) {
            const auto args = server::arguments(r.payload, 3);
            if (args.size() == 3 && introduced_.insert("d" + std::string(args[0])).second) {
                text_ += fmt::format("host create {}\n", notation(args[0]));
                payload = fmt::format("{0}|{1}|${0}|", notation(args[0]), notation(args[1]));
            }
        }
        const auto known = ids.find(r.tx_id);
        const std::uint32_t tx = known == ids.end() ? r.tx_id : known->second;
        ask(step.client, fmt::format("{}{} {}{}\n", name(step.client), tx ? fmt::format("@{}", tx) : "",
                                     session::type_text(r.type), payload.empty() ? "" : " " + payload));
        for (const Received &m : came)
            if (m.client == step.client && !m.event && !m.closed)
                if (const std::uint32_t theirs = started_transaction(m.message))
                    ids[step.reply && started_transaction(*step.reply) ? started_transaction(*step.reply)
                                                                       : theirs] = theirs;
    }
    void domains(std::string_view news)
    {
        for (const server::DomainNews &n : server::parse_news(news))
            if (n.what == server::DomainNews::What::Dead || n.what == server::DomainNews::What::Shutdown)
                text_ +=
                    fmt::format("host {} {}\n",
                                n.what == server::DomainNews::What::Dead ? "destroy" : "shutdown", n.domid);
    }

    const Script &script_;
    std::string text_;
    std::map<std::size_t, std::vector<std::string>> pending_; // what a client has got since it last asked
    std::set<std::string> introduced_;
    std::map<std::size_t, std::unordered_map<std::uint32_t, std::uint32_t>> transactions_;
};

} // namespace

std::string test_case(const Script &script, const Answers &answers, std::string_view title)
{
    Conversation conversation(script, title);
    for (std::size_t i = 0; i < script.steps.size(); ++i)
        conversation.step(script.steps[i], answers[i]);
    return conversation.finish();
}

} // namespace xsgit::replay
