#include "tests/support.h"
#include "view/report.h"

using namespace limn;

TEST_CASE("the page holds its pictures and escapes what is written") {
    const Image picture{3, 3, std::vector<std::uint8_t>(27, 100)};
    const std::string page = html_report("<cat> & \"dog\"", "m", picture, {"tabby 0.9"}, {{"map", picture, {"look out"}}});
    CHECK(page.find("&lt;cat&gt; &amp; &quot;dog&quot;") != std::string::npos);
    CHECK(page.find("<cat>") == std::string::npos);
    CHECK(page.find("look out") != std::string::npos);
    CHECK(page.find("data:image/png;base64,iVBORw0KGgo") != std::string::npos);
}
