// SPDX-License-Identifier: MIT
// The state as git objects. The id of a tree is a function of the state alone.
//
//   leaf            blob holding exactly the value
//   node with       tree; entries are its children under their own names, and
//   children          %perms   its permission text (below)
//                     %value   its value, if not empty
//                   %hex     instead of %value, in hex digits and "\n": bytes that look like half of a SHA-1
//                            collision, which git would refuse (such a leaf is a tree, too)
//   root            always a tree; hidden nodes in %special/<name> (values as blobs, permissions in
//                   %special/%perms), a tree that is always there
//   >128 children   the children stand in trees %0 … %f by the first hex digit of the SHA-1 of
//                   their name; a bucket of more than 128 is split the same way by the next digit. A bucket
//                   exists only if it holds something. 128 or fewer are always flat. A bucket
//                   has a %perms only when it has something to say.
// "%" is no xenstore name character, so ours never clash with a node, and they sort first.
//
//   %perms of a node := own "\n" [ "* " perms "\n" ] { name " " perms "\n" }
//   %perms of a bucket := [ "* " perms "\n" ] { name " " perms "\n" }
// "*" is the list of most leaf children standing in this very tree object (ties: the text that sorts first), left
// out when equal to the node's own; then the leaf children that have another one, by name. Lists
// as PermList::text(). Children that are trees carry their own %perms. A change of a leaf's value touches no %perms.
//
// Entries are sorted as git demands (a tree compares as if its name ended in "/").
#pragma once

#include "xsgit/git/oid.hpp"
#include "xsgit/git/pack_buffer.hpp"
#include "xsgit/tree/tree.hpp"

namespace xsgit {

/// Receives the objects that were not there yet.
using ObjectSink = PackBuffer;

/// Id of `after`'s root tree; new objects go to `out`. `before` must have been encoded (or loaded) in
/// `epoch`, or be empty. Costs O(difference); no recursion over depth.
Oid encode_tree(const Tree &before, const Tree &after, std::uint32_t epoch, ObjectSink &out);

/// Writes all objects of an encoded tree again, for the keyframe of `epoch`, and marks them.
void encode_keyframe(const Tree &head, std::uint32_t epoch, ObjectSink &out);

} // namespace xsgit
