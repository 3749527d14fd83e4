// SPDX-License-Identifier: MIT
// A file, mapped for reading.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace xsgit {

class FileMap {
public:
    FileMap() = default;
    FileMap(FileMap &&o) noexcept;
    FileMap &operator=(FileMap &&o) noexcept;
    ~FileMap();

    /// Nullopt if there is no such file; std::system_error for everything else. The bytes stay
    /// readable after the file is unlinked.
    static std::optional<FileMap> open(int dir, const std::string &name);

    std::string_view view() const noexcept { return bytes_; }

private:
    explicit FileMap(std::string_view bytes) noexcept : bytes_(bytes) {}
    std::string_view bytes_;
};

} // namespace xsgit
