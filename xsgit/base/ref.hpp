// SPDX-License-Identifier: MIT
// Intrusive reference counting with a plain counter. Objects counted this way
// belong to one thread: no tree, value or permission list ever crosses one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace xsgit {

/// Base of a counted object. `T::destroy(const T*)` is called at zero; it may
/// queue the object instead of deleting it, so that no chain of destructors
/// recurses over a depth that a guest chose.
template <class T>
class RefCounted {
public:
    RefCounted() = default;
    RefCounted(const RefCounted &) noexcept {}
    RefCounted &operator=(const RefCounted &) = delete;

    void retain() const noexcept { ++refs_; }
    void release() const noexcept
    {
        if (--refs_ == 0)
            T::destroy(static_cast<const T *>(this));
    }
    std::uint32_t ref_count() const noexcept { return refs_; }

protected:
    ~RefCounted() = default;

private:
    mutable std::uint32_t refs_ = 0;
};

/// Owning pointer to a RefCounted object; may be null. Copy and destruction
/// cost one plain increment or decrement.
template <class T>
class Ref {
public:
    Ref() noexcept = default;
    Ref(std::nullptr_t) noexcept {}
    explicit Ref(T *p) noexcept : p_(p)
    {
        if (p_)
            p_->retain();
    }
    Ref(const Ref &o) noexcept : Ref(o.p_) {}
    Ref(Ref &&o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    template <class U>
    requires(!__is_same(U, T)) Ref(const Ref<U> &o)
    noexcept : Ref(o.get()) {}
    Ref &operator=(Ref o) noexcept
    {
        std::swap(p_, o.p_);
        return *this;
    }
    ~Ref()
    {
        if (p_)
            p_->release();
    }

    T *get() const noexcept { return p_; }
    T &operator*() const noexcept { return *p_; }
    T *operator->() const noexcept { return p_; }
    explicit operator bool() const noexcept { return p_ != nullptr; }
    friend bool operator==(const Ref &a, const Ref &b) noexcept { return a.p_ == b.p_; }

private:
    T *p_ = nullptr;
};

} // namespace xsgit
